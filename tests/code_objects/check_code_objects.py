"""Checks the machine code that libnsameta_hip.so carries against budgets.txt and prints a table of its kernels.

Needs no GPU: the registers, LDS and scratch of each kernel stand in the notes of its code object. Every architecture
that was asked for must be there with the same kernels, for waves of the hardware's width, and no kernel may exceed
the budget of its family: the first name of the kernel's own that budgets.txt knows.
"""

import argparse
import re
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

BUDGETS = Path(__file__).resolve().with_name("budgets.txt")
BUNDLE_MAGIC = b"__CLANG_OFFLOAD_BUNDLE__"
FIGURES = {  # of a budget, and what the notes call them
    "vgprs": "vgpr_count",
    "lds_bytes": "group_segment_fixed_size",
    "scratch_bytes": "private_segment_fixed_size",
    "sgpr_spills": "sgpr_spill_count",
    "vgpr_spills": "vgpr_spill_count",
}


@dataclass
class Kernel:
    architecture: str
    name: str  # demangled, without namespaces
    notes: dict

    def figure(self, name):
        return int(self.notes.get(FIGURES[name], "0"))

    @property
    def is_of_other_width(self):
        """Built for waves that the architecture does not have, and never launched there."""
        width = re.search(r"rt<(\d+)>", self.name)
        return width is not None and int(width[1]) != int(self.notes["wavefront_size"])


def wave_width(architecture):
    return 64 if architecture.startswith("gfx9") else 32


def run(*command, text=None):
    return subprocess.run(command, check=True, capture_output=True, text=True, input=text).stdout


def code_objects(fat_binary):
    """(architecture, bytes) of each code object of each translation unit."""
    for unit in re.finditer(re.escape(BUNDLE_MAGIC), fat_binary):
        (num_entries,) = struct.unpack_from("<Q", fat_binary, unit.end())
        position = unit.end() + 8
        for _ in range(num_entries):
            offset, size, name_size = struct.unpack_from("<3Q", fat_binary, position)
            position += 24
            target = fat_binary[position : position + name_size].decode()
            position += name_size
            if target.startswith("hip"):
                begin = unit.start() + offset
                yield target.rpartition("--")[2].partition(":")[0].rstrip("-"), fat_binary[begin : begin + size]


def read_kernels(library, llvm):
    kernels = []
    with tempfile.TemporaryDirectory() as folder:
        section, code = Path(folder, "section"), Path(folder, "code")
        run(llvm / "llvm-objcopy", f"--dump-section=.hip_fatbin={section}", library, Path(folder, "copy"))
        for architecture, content in code_objects(section.read_bytes()):
            code.write_bytes(content)
            kernels += parse_notes(architecture, run(llvm / "llvm-readelf", "--notes", code))
    names = run("c++filt", text="\n".join(k.name for k in kernels)).splitlines()
    for kernel, name in zip(kernels, names, strict=True):
        kernel.name = shorten(name)
    return kernels


def parse_notes(architecture, notes):
    # One list element a kernel, its own values indented by four, those of its arguments deeper.
    listed = notes.partition("amdhsa.kernels:")[2].partition("amdhsa.target")[0]
    for element in re.split(r"^  - ", listed, flags=re.MULTILINE)[1:]:
        values = dict(re.findall(r"^(?: {4})?\.(\w+): +(\S+) *$", element, re.MULTILINE))
        yield Kernel(architecture, values["name"], values)


def shorten(name):
    name = re.sub(r"\b(?:void|nsameta|hip|simt)(?:::| )", "", name).partition("(")[0]
    wrapped = re.fullmatch(r"entry<(.*), \d+>", name.strip())
    return re.sub(r"\((?:bool|int)\)", "", wrapped[1] if wrapped else name).strip()


def read_budgets():
    lines = [line.split() for line in BUDGETS.read_text().splitlines() if line and not line.startswith("#")]
    header, *rows = lines
    if header[1:] != list(FIGURES):
        raise SystemExit(f"{BUDGETS.name}: the columns must be family {' '.join(FIGURES)}")
    return {row[0]: dict(zip(FIGURES, map(int, row[1:]), strict=True)) for row in rows}


def family_of(kernel, budgets):
    """`for_each_set<build_metadata_step<...>>` is of the family for_each_set<build_metadata_step, if that is listed."""
    names = [n for n in re.findall(r"[A-Za-z_]\w*", kernel.name) if n not in ("rt", "true", "false")]
    for count in (2, 1):
        family = "<".join(names[:count])
        if family in budgets:
            return family
    return None


def faults_of(kernel, budgets):
    expected = wave_width(kernel.architecture)
    if int(kernel.notes["wavefront_size"]) != expected:
        return [f"wavefront_size {kernel.notes['wavefront_size']} must be {expected}"]
    if kernel.notes.get("uses_dynamic_stack", "false") != "false":
        return ["has a dynamic stack"]
    if kernel.is_of_other_width:
        return [f"{name} {kernel.figure(name)}: the body must be empty" for name in FIGURES if kernel.figure(name) > 0]
    family = family_of(kernel, budgets)
    if family is None:
        return [f"{BUDGETS.name} has no budget for it"]
    budget = budgets[family]
    return [f"{n} {kernel.figure(n)} exceeds {budget[n]}" for n in FIGURES if kernel.figure(n) > budget[n]]


def missing_kernels(kernels, architectures):
    """What one architecture lacks and another has, in words."""
    names = {a: {k.name for k in kernels if k.architecture == a} for a in architectures}
    everything = set().union(*names.values())
    for architecture in architectures:
        if not names[architecture]:
            yield f"there is no kernel for {architecture} (a compressed bundle hides its kernels)"
            continue
        for name in sorted(everything - names[architecture]):
            yield f"{architecture} lacks {name}"


def print_table(kernels, budgets):
    columns = ["arch", "waves", *FIGURES, "sgprs", "kernel"]
    rows = []
    for k in sorted(kernels, key=lambda k: (k.architecture, k.name)):
        if not k.is_of_other_width:
            figures = [str(k.figure(name)) for name in FIGURES]
            name = re.sub(r"rt<\d+>(, )?", "", k.name).replace("<>", "")
            rows.append([k.architecture, k.notes["wavefront_size"], *figures, k.notes["sgpr_count"], name])
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns) - 1)]
    for row in [columns, *rows]:
        print(" ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=False)), row[-1])
    num_empty = sum(k.is_of_other_width for k in kernels)
    print(f"{len(rows)} kernels, and {num_empty} empty ones for waves of the other width\n\nbudgets:")
    print(BUDGETS.read_text(), end="")
    for family in sorted(budgets.keys() - {family_of(k, budgets) for k in kernels}):
        print(f"note: no kernel is of the family {family}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, required=True, help="libnsameta_hip.so")
    parser.add_argument("--llvm", type=Path, required=True, help="folder of llvm-objcopy and llvm-readelf")
    parser.add_argument("--architectures", nargs="+", required=True, help="e.g. gfx90a gfx942")
    arguments = parser.parse_args()
    budgets = read_budgets()
    kernels = read_kernels(arguments.library, arguments.llvm)
    print_table(kernels, budgets)
    faults = list(missing_kernels(kernels, arguments.architectures))
    faults += [f"{k.architecture} {k.name}: {fault}" for k in kernels for fault in faults_of(k, budgets)]
    for fault in faults:
        print(f"FAULT: {fault}")
    return 1 if faults or not kernels else 0


if __name__ == "__main__":
    sys.exit(main())
