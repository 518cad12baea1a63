"""Holds the machine code of every CUDA kernel to a table: registers, stack, shared memory, size and memory accesses.

Needs no GPU: cuobjdump and nvdisasm read libnsameta_cuda.so. One table for each version of nvcc, as another one allocates
registers in another way. Everything is exact but code_bytes, of which 5 % are tolerated.
  local_accesses   instructions that load or store local memory: spilled registers and arrays with a run-time index
  wide_stores      16-byte stores to global memory, which the compiler may split: fewer of them is a regression
Architectures that the build does not have are left out of a check; an update needs all of them.

examples: check_cuda_kernels.py --build build/release
          check_cuda_kernels.py --build build/release --update
"""

import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from build_tree import compiler, require_release
from count_table import CountTable, Field, Skip, run_check

ROOT = Path(__file__).resolve().parents[2]
USAGE = {"registers": "REG", "stack_bytes": "STACK", "shared_bytes": "SHARED"}
# Wide stores with and without a hint to the cache: EF leaves it first.
OPCODES = {
    "STL": "local_accesses",
    "LDL": "local_accesses",
    "STG.E.128": "wide_stores",
    "STG.E.EF.128": "wide_stores",
}
INSTRUCTION = re.compile(r"^\s+/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+ )?(STL|LDL|STG\.E(?:\.EF)?\.128)\b", re.MULTILINE)
FIELDS = [
    *(Field(name) for name in USAGE),
    Field("code_bytes", tolerance=0.05),
    Field("local_accesses"),
    Field("wide_stores", more_is="IMPROVEMENT"),
]


def find_tool(name):
    """From PATH, or from where `./dev setup counts` puts it."""
    installed = sorted((ROOT / "build/cuda-tools-venv").glob(f"lib/*/site-packages/nvidia/*/bin/{name}"))
    tool = shutil.which(name) or (installed and installed[-1])
    if not tool:
        raise Skip(f"no {name}: ./dev setup counts installs it")
    return tool


def run(*command, cwd=None, text=None):
    # Warnings of nvdisasm are about branch targets; what fails has a message on standard error, too.
    result = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True, input=text)
    if result.returncode != 0:
        raise SystemExit(f"{command[0]} gave {result.returncode}: {result.stderr[-1000:]}")
    return result.stdout


def read_usage(text):
    """Registers, stack and shared memory by mangled name, from --dump-resource-usage."""
    for name, figures in re.findall(r"^ Function (\S+):\n\s+(.*)$", text, re.MULTILINE):
        values = dict(pair.split(":") for pair in figures.split())
        yield name, {field: values[key] for field, key in USAGE.items()}


def read_code(text):
    """Bytes and counts of opcodes by mangled name, from nvdisasm's listing of code sections."""
    for section in re.split(r"^\t\.section\t\.text\.", text, flags=re.MULTILINE)[1:]:
        name = section[: section.index(",")]
        (last,) = re.findall(r"^\s+/\*([0-9a-f]+)\*/", section, re.MULTILINE)[-1:]
        counts = Counter(OPCODES[opcode] for opcode in INSTRUCTION.findall(section))
        figures = {"code_bytes": str(int(last, 16) + 16)}
        yield name, figures | {field: str(counts[field]) for field in set(OPCODES.values())}


def read_cubin(path):
    kernels = dict(read_usage(run(find_tool("cuobjdump"), "--dump-resource-usage", path)))
    if kernels:
        for name, figures in read_code(run(find_tool("nvdisasm"), "--print-code", "--no-dataflow", path)):
            kernels[name].update(figures)
    return kernels


def shorten(name):
    """ "build_metadata_plain<4>" from the demangled name of its entry."""
    name = re.sub(r"\b(?:void|nsameta|cuda|simt)(?:::| )", "", name).partition("(")[0]
    inner = re.fullmatch(r"entry<(.*)>", name.strip())
    name = re.sub(r"\brt(?:, |(?=>))", "", inner[1] if inner else name)
    return re.sub(r"<>| ", "", name)


def read_library(library):
    """Figures by "sm_90:kernel"."""
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        run(find_tool("cuobjdump"), "--extract-elf", "all", library, cwd=folder)
        cubins = sorted(Path(folder).glob("*.cubin"), key=lambda path: path.stat().st_size, reverse=True)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for path, kernels in zip(cubins, pool.map(read_cubin, cubins), strict=True):
                architecture = path.name.split(".")[-2]
                names = run("c++filt", text="\n".join(kernels)).splitlines()
                for name, row in zip(names, kernels.values(), strict=True):
                    figures[f"{architecture}:{shorten(name)}"] = row
    by_name = sorted(figures, key=lambda key: (int(re.search(r"\d+", key)[0]), key))
    return {key: figures[key] for key in by_name}


def check(build, update):
    require_release(build)
    library = build / "lib/libnsameta_cuda.so"
    _, version = compiler(build, "CUDA")
    nvcc = "nvcc-" + ".".join(version.split(".")[:2])
    title = f"Machine code of the CUDA kernels, compiled by {nvcc}; see check_cuda_kernels.py."
    table = CountTable(f"cuda_kernels.{nvcc}.txt", title, "kernel", FIELDS)
    now = read_library(library)
    architectures = {key.partition(":")[0] for key in now}
    return table.settle(now, update, is_counted=lambda key: key.partition(":")[0] in architectures)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, help="build folder, with libnsameta_cuda.so")
    parser.add_argument("--update", action="store_true", help="write the table instead of comparing with it")
    arguments = parser.parse_args()
    return run_check(lambda: check(arguments.build.resolve(), arguments.update))


if __name__ == "__main__":
    sys.exit(main())
