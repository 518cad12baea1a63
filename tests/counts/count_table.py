"""A checked-in table of counts: read, compared with what was just counted, or written anew."""

import os
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SKIPPED = 77  # what ctest takes for a skip


class Skip(Exception):
    """Why there is nothing to count here."""


@dataclass(frozen=True)
class Field:
    name: str
    tolerance: float = 0  # relative; what differs by more is reported, in either direction
    more_is: str = "REGRESSION"

    def judge(self, before, now):
        """'' or what the change is."""
        if before == now:
            return ""
        if not (before.isdigit() and now.isdigit()):
            return "CHANGE"
        if abs(int(now) - int(before)) <= self.tolerance * int(before):
            return ""
        grew = int(now) > int(before)
        return self.more_is if grew else {"REGRESSION": "IMPROVEMENT", "IMPROVEMENT": "REGRESSION"}[self.more_is]


def percentage(before, now):
    if not (before.isdigit() and now.isdigit()) or int(before) == 0:
        return ""
    return f" ({(int(now) / int(before) - 1) * 100:+.1f} %)"


class CountTable:
    """Rows are dicts from field to text, under keys that are texts without blanks."""

    def __init__(self, file_name, title, key, fields):
        self.path = FOLDER / file_name
        self.title = title
        self.key = key
        self.fields = fields

    def read(self):
        """Empty when there is no such file."""
        if not self.path.exists():
            return {}
        header, *rows = [line.split() for line in self.path.read_text().splitlines() if not line.startswith("#")]
        expected = [self.key, *(f.name for f in self.fields)]
        if header != expected:
            raise SystemExit(
                f"{self.path.name}: the columns must be {' '.join(expected)}; write it: ./dev counts --update"
            )
        return {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}

    def format(self, rows):
        names = [f.name for f in self.fields]
        cells = [[self.key, *names], *([key, *(row[n] for n in names)] for key, row in rows.items())]
        widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
        lines = [
            "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
            for line in cells
        ]
        return "\n".join(lines) + "\n"

    def compare(self, before, now):
        """A line for each difference beyond its tolerance."""
        for key in before.keys() - now.keys():
            yield f"GONE: {key} was not counted"
        for key, row in now.items():
            if key not in before:
                yield f"NEW: {key} is not in the table"
                continue
            for field in self.fields:
                was, is_now = before[key][field.name], row[field.name]
                if kind := field.judge(was, is_now):
                    yield f"{kind}: {key}: {field.name} {was} -> {is_now}{percentage(was, is_now)}"

    def settle(self, now, update, is_counted=lambda key: True):
        """Exit code of a check, or of an update. is_counted: whether a row of the table is one of this build."""
        before = self.read()
        name = os.path.relpath(self.path)
        if not before and not update:
            raise Skip(f"no table {self.path.name} for this compiler; ./dev counts --update writes one")
        print(self.format(now), end="")
        counted_before = {key: row for key, row in before.items() if is_counted(key)}
        differences = sorted(self.compare(counted_before, now)) if before else []
        print(*differences, sep="\n", end="\n" if differences else "")
        if update:
            left_out = [key for key in before if not is_counted(key)]
            if left_out:
                print(f"{name} was not written: this build lacks {len(left_out)} of its rows, such as {left_out[0]}")
                return 1
            title = "".join(f"# {line}\n" for line in self.title.splitlines())
            self.path.write_text(f"{title}# Written by `./dev counts --update`.\n{self.format(now)}")
            print(f"{name}: {len(now)} rows written, {len(differences)} differences")
            return 0
        if differences:
            print(
                f"{len(differences)} differences from {name}. Undo what is not meant; what is, better or worse, goes into"
            )
            print("the table with the change that caused it: ./dev counts --update")
            return 1
        print(f"{len(now)} rows as in {name}")
        return 0


def run_check(check):
    """Turns a skip into its exit code."""
    try:
        return check()
    except Skip as reason:
        print(f"skipped: {reason}")
        return SKIPPED
