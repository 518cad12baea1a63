"""Compares the ABI of the public headers and of libnsameta.so with the list beside this file.

The list has one line for each struct, field, enumerator, constant, function and exported symbol. A change that callers
compiled before it can live with passes: a new symbol, function, constant, enumerator or type, and a new field at the
end of a struct that begins with struct_size. Any other change needs a new NSAMETA_ABI_VERSION. Backends are only
loaded when their table has the library's own version, so every change of core/backend.h needs a new
NSAMETA_BACKEND_ABI_VERSION. `./dev abi --update` writes the list, once the versions say what the changes are.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from debug_info import DebugInfo

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).resolve().with_name("abi.txt")
API_HEADERS = [ROOT / "core/include/nsameta" / name for name in ("nsameta.h", "device.h")]
BACKEND_HEADER = ROOT / "core/backend.h"
VERSIONS = {"api": "NSAMETA_ABI_VERSION", "backend": "NSAMETA_BACKEND_ABI_VERSION"}

# Grows at its end together with the args struct that it ends, whose struct_size tells the sizes of both.
SIZED_BY_ANOTHER = {"nsameta_metadata_outputs": "nsameta_build_metadata_args"}


@dataclass(frozen=True)
class Item:
    """One line of the list: `value` of `name`, which is a `kind` of the `part` api or backend."""

    part: str
    kind: str
    name: str
    value: str

    @property
    def key(self):
        return (self.part, self.kind, self.name)

    @property
    def struct(self):
        return self.name.partition(".")[0]

    def __str__(self):
        return f"{self.part} {self.kind} {self.name} {self.value}".rstrip()


def read_types(headers, compiler, readelf):
    """Items of all nsameta_* types that the headers define and all functions that they declare."""
    text = "".join(header.read_text() for header in headers)
    functions = sorted(
        set(re.findall(r"^(?:NSAMETA_NODISCARD )?NSAMETA_API [^;(]*?\b(nsameta_\w+)\(", text, re.MULTILINE))
    )
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, "probe.c"), Path(folder, "probe.o")
        lines = [f'#include "{header}"' for header in headers]
        lines += [f"__typeof__(&{name}) probe_{name};" for name in functions]
        source.write_text("\n".join(lines) + "\n")
        options = ["-x", "c", "-std=c11", "-g", "-gdwarf-4", "-fno-eliminate-unused-debug-types", "-c"]
        includes = [f"-I{ROOT}", f"-I{ROOT / 'core/include'}"]
        subprocess.run([*compiler, *options, *includes, source, "-o", output], check=True)
        info = DebugInfo(output, readelf)
    items = []
    for entry in info.top:
        if entry.tag == "variable" and entry.name.startswith("probe_"):
            spelt = info.spell(info.type_of(entry))
            items.append(("function", entry.name.removeprefix("probe_"), spelt))
        if not entry.name.startswith("nsameta_") or "declaration" in entry.attributes:
            continue
        if entry.tag == "structure_type":
            items.append(("struct", entry.name, f"size {info.size(entry)}"))
            for member in entry.children:
                kind = info.type_of(member)
                place = f"offset {member.number('data_member_location')} size {info.size(kind)}"
                items.append(("field", f"{entry.name}.{member.name}", f"{place} type {info.spell(kind)}"))
        elif entry.tag == "enumeration_type":
            for value in entry.children:
                items.append(("enum", f"{entry.name}.{value.name}", str(value.number("const_value"))))
        elif entry.tag == "typedef" and "(" in (spelt := info.spell(info.type_of(entry))):
            items.append(("callback", entry.name, spelt))
    constants = re.findall(r'^#define (NSAMETA_\w+) (\d+|"[^"]*")', text, re.MULTILINE)
    return items + [("constant", *c) for c in constants if not c[0].startswith("NSAMETA_VERSION_")]


def read_symbols(library, nm):
    command = [nm, "-D", "--defined-only", "--format=posix", str(library)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [("symbol", line.split()[0], "") for line in output.splitlines()]


def read_abi(arguments):
    api = read_types(API_HEADERS, arguments.compiler, arguments.readelf)
    both = read_types([*API_HEADERS, BACKEND_HEADER], arguments.compiler, arguments.readelf)
    backend = [item for item in both if item not in set(api)]
    api += read_symbols(arguments.library, arguments.nm)
    return [Item("api", *item) for item in api] + [Item("backend", *item) for item in backend]


def read_list():
    items = []
    for line in LIST.read_text().splitlines():
        if line and not line.startswith("#"):
            part, kind, name, value = (line.split(" ", 3) + [""])[:4]
            items.append(Item(part, kind, name, value))
    return items


def is_growing(struct, now):
    """Whether the struct tells its size, so that fields may be added at its end."""
    return ("api", "field", f"{SIZED_BY_ANOTHER.get(struct, struct)}.struct_size") in now


def size_of(struct, items):
    return int(items[("api", "struct", struct)].value.split()[1])


def is_compatible(before, after, old, now):
    """Whether callers that were compiled when `before` stood in the list can use a library with `after`."""
    item = after or before
    if item.part == "backend" or after is None:
        return False
    if before is None:
        if item.kind != "field" or ("api", "struct", item.struct) not in old:
            return True
        # Not in the padding at the end, which the size of an old caller's struct covers.
        return is_growing(item.struct, now) and int(after.value.split()[1]) >= size_of(item.struct, old)
    was, is_now = before.value.split(), after.value.split()
    if item.kind == "struct":
        return is_growing(item.struct, now) and int(is_now[1]) > int(was[1])
    # The set of outputs that ends an args struct.
    grows = item.kind == "field" and is_now[-1] in SIZED_BY_ANOTHER and int(is_now[3]) > int(was[3])
    return grows and is_growing(item.struct, now) and was[:3] + was[4:] == is_now[:3] + is_now[4:]


def compare(old, now):
    """Differences as (compatible, item, text)."""
    differences = []
    for key in sorted(old.keys() | now.keys()):
        before, after = old.get(key), now.get(key)
        if before == after or (key[1] == "constant" and key[2] in VERSIONS.values()):
            continue
        change = "new" if before is None else "gone" if after is None else f"was {before.value}, is"
        value = "" if after is None else f" {after.value}".rstrip()
        differences.append(
            (is_compatible(before, after, old, now), after or before, f"{' '.join(key)}: {change}{value}")
        )
    return differences


def parts_to_raise(item, now):
    """A type of nsameta.h that backends see is theirs, too."""
    backends_see_it = any(i.part == "backend" and item.struct in re.findall(r"\w+", i.value) for i in now.values())
    return {item.part, "backend"} if backends_see_it else {item.part}


def version(items, part):
    item = items.get((part, "constant", VERSIONS[part]))
    return int(item.value) if item else 0


def check(old, now):
    """Prints the differences; returns whether the versions account for them."""
    to_raise = set()
    for fits, item, text in compare(old, now):
        print(f"{'compatible' if fits else 'INCOMPATIBLE'}: {text}")
        if not fits:
            to_raise |= parts_to_raise(item, now)
    is_good = True
    for part, name in VERSIONS.items():
        was, is_now = version(old, part), version(now, part)
        if is_now < was:
            print(f"{name} went from {was} to {is_now}; it only rises.")
            is_good = False
        elif is_now == was and part in to_raise:
            print(f"Undo this, or raise {name} (now {was}) and run ./dev abi --update.")
            is_good = False
    return is_good


def update(now):
    lines = ["# The ABI on x86-64; see check_abi.py. Written by `./dev abi --update`."]
    lines += [str(item) for item in now.values()]
    LIST.write_text("\n".join(lines) + "\n")
    print(f"{LIST.relative_to(ROOT)}: {len(now)} lines written")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, required=True, help="libnsameta.so")
    parser.add_argument("--compiler", default="c++", type=str.split, help="a compiler of C")
    parser.add_argument("--readelf", default="readelf")
    parser.add_argument("--nm", default="nm")
    parser.add_argument("--update", action="store_true", help="write the list, if the versions allow it")
    arguments = parser.parse_args()
    now = {item.key: item for item in read_abi(arguments)}
    if LIST.exists():
        old = {item.key: item for item in read_list()}
        if not check(old, now):
            return 1
    elif not arguments.update:
        print(f"{LIST.relative_to(ROOT)} is missing: run ./dev abi --update.")
        return 1
    if arguments.update:
        update(now)
        return 0
    for part, name in VERSIONS.items():
        if version(now, part) != version(old, part):
            print(f"{name} is {version(now, part)} and the list has {version(old, part)}: run ./dev abi --update.")
            return 1
    print(f"{len(now)} items, no incompatible change")
    return 0


if __name__ == "__main__":
    sys.exit(main())
