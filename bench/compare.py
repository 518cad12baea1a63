#!/usr/bin/env python3
"""Compares two results of the benchmarks, row by row.

A change counts where the quartiles of the repetitions do not overlap. With a single repetition there is no spread, and
a change is marked with a question mark.
"""

import argparse
import sys
from dataclasses import dataclass

import results

EPILOG = """examples:
  bench/compare.py build/bench/before build/bench/after
  bench/compare.py before.json after.json --filter '^verify' --metric graph_us
  bench/compare.py before.json after.json --fail-above 5    # exit code 1 where a time grew by more than 5 %
exit codes: 0, whatever changed; 1 with --fail-above; 2 bad arguments or files"""


@dataclass
class Change:
    key: tuple
    metric: str
    before: results.Spread
    after: results.Spread
    has_spread: bool

    @property
    def ratio(self):
        return self.after.median / self.before.median if self.before.median else float("nan")

    @property
    def is_beyond_spread(self):
        return self.after.low > self.before.high or self.after.high < self.before.low

    @property
    def verdict(self):
        if not self.is_beyond_spread:
            return ""
        if not self.has_spread:
            return "?"
        return "slower" if self.after.median > self.before.median else "faster"


def rows_by_key(path):
    """Rows and how often they were measured."""
    return {row.key: (row, run.repetitions) for run in results.load(path) for row in run.rows}


def compare(before, after, metrics, pattern=None):
    """Changes of what both have, and the keys that one of them lacks or that failed in one."""
    changes, absent = [], []
    for key in dict.fromkeys([*before, *after]):
        if pattern and not pattern.search(key[0]):
            continue
        if key not in before or key not in after:
            absent.append((key, "before" if key not in before else "after", "is absent"))
            continue
        (old, old_count), (new, new_count) = before[key], after[key]
        for row, when in ((old, "before"), (new, "after")):
            if row.error:
                absent.append((key, when, f"failed: {row.error}"))
        if old.error or new.error:
            continue
        for metric in metrics:
            if metric in old.metrics and metric in new.metrics:
                has_spread = old_count > 1 and new_count > 1
                changes.append(Change(key, metric, old.metrics[metric], new.metrics[metric], has_spread))
    return changes, absent


def text(spread):
    return f"{spread.median:.2f} ({spread.low:.2f}..{spread.high:.2f})"


def print_changes(changes, absent):
    names = [" ".join((change.key[0], *change.key[1:])) for change in changes]
    width = max(map(len, names), default=4)
    print(f"{'row':{width}}  {'metric':12} {'before':>26} {'after':>26} {'after/before':>12}")
    for name, change in zip(names, changes, strict=True):
        print(
            f"{name:{width}}  {change.metric:12} {text(change.before):>26} {text(change.after):>26} "
            f"{change.ratio:12.3f} {change.verdict}".rstrip()
        )
    for key, when, why in absent:
        print(f"{' '.join(key)}: {when} {why}")
    verdicts = [change.verdict for change in changes]
    print(
        f"\n{len(changes)} figures: {verdicts.count('faster')} faster, {verdicts.count('slower')} slower, "
        f"{verdicts.count('?')} differ without a spread to judge by, {len(absent)} rows not compared"
    )


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", help="a JSON file, or a folder of them")
    parser.add_argument("after")
    parser.add_argument("--filter", metavar="REGEX", default="", help="cases whose name it is found in")
    parser.add_argument(
        "--metric", action="append", choices=results.TIMES, help="compare this one; may be repeated (default: all)"
    )
    parser.add_argument("--fail-above", type=float, metavar="PCT", help="exit with 1 where a time grew by more")
    options = parser.parse_args(argv)
    try:
        pattern = results.pattern(options.filter)
        changes, absent = compare(
            rows_by_key(options.before), rows_by_key(options.after), options.metric or results.TIMES, pattern
        )
    except results.BadResults as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return 2
    print_changes(changes, absent)
    if options.fail_above is None:
        return 0
    limit = 1 + options.fail_above / 100
    grown = [change for change in changes if change.is_beyond_spread and change.ratio > limit]
    if grown:
        print(f"{len(grown)} figures grew by more than {options.fail_above:g} %", file=sys.stderr)
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
