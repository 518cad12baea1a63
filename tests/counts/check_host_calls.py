"""Holds what one call costs the host to a table: its launches, or its instructions.

Each operation is called as a plan and one-shot, warm, on the CPU backend ("cpu.") and on counting_gpu, the host side of
the GPU backends over a runtime that does nothing ("gpu."); so the CUDA or HIP runtime's own part is not in the numbers.
Launches need nothing but the program; instructions are read by valgrind's callgrind, 2 % tolerated, from a table for
the compiler's major version.

examples: check_host_calls.py launches --build build/release
          check_host_calls.py instructions --build build/release --update
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from build_tree import compiler, require_release
from count_table import CountTable, Field, Skip, run_check

CALLGRIND = ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=measured_call"]
CALLGRIND += ["--dump-after=measured_call"]


def run_program(build, prefix=()):
    """(call, launches, kernel, grid) of each call that the program made."""
    environment = os.environ | {
        "NSAMETA_BACKEND_DIR": str(build / "tests/counts/counting_gpu"),
        "NSAMETA_CPU_ISA": "generic",  # which every machine and valgrind can run
        "LD_BIND_NOW": "1",
    }
    command = [*prefix, build / "bin/nsameta_host_calls"]
    result = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if result.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} gave {result.returncode}:\n{result.stdout}{result.stderr}")
    for line in result.stdout.splitlines():
        call, launches, kernel = line.split(" ", 2)
        kernel, _, grid = re.sub(r"(\w+::)*\brt<\d+>(, )?| ", "", kernel).rpartition(",")
        yield call, launches, kernel.replace("<>", "") or "-", grid


def check_launches(build, update):
    fields = [Field("launches"), Field("kernel"), Field("blocks_x_threads")]
    table = CountTable(
        "launches.txt", "Launches of one call, and of gpu calls the kernel and its grid.", "call", fields
    )
    now = {
        call: {"launches": launches, "kernel": kernel, "blocks_x_threads": grid}
        for call, launches, kernel, grid in run_program(build)
    }
    return table.settle(now, update)


def check_instructions(build, update):
    require_release(build)
    if shutil.which("valgrind") is None:
        raise Skip("no valgrind: ./dev setup counts installs it")
    identification, version = compiler(build, "CXX")
    name = {"GNU": "g++", "Clang": "clang++"}.get(identification, identification)
    key = f"{name}-{version.partition('.')[0]}"
    title = f"Instructions of one warm call on the host, built by {key}; see check_host_calls.py."
    table = CountTable(f"host_calls.{key}.txt", title, "call", [Field("instructions", tolerance=0.02)])
    # Kept, so that `callgrind_annotate FILE` tells which function grew.
    folder = build / "tests/counts/callgrind"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    calls = [call for call, *_ in run_program(build, [*CALLGRIND, f"--callgrind-out-file={folder}/dump"])]
    now = {}
    for i, call in enumerate(calls, start=1):
        dump = (folder / f"dump.{i}").rename(folder / call)
        now[call] = {"instructions": re.search(r"^totals: (\d+)$", dump.read_text(), re.MULTILINE)[1]}
    print(f"for callgrind_annotate: {folder}")
    return table.settle(now, update)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    checks = {"launches": check_launches, "instructions": check_instructions}
    parser.add_argument("what", choices=checks)
    parser.add_argument("--build", type=Path, required=True, help="build folder, with nsameta_host_calls")
    parser.add_argument("--update", action="store_true", help="write the table instead of comparing with it")
    arguments = parser.parse_args()
    return run_check(lambda: checks[arguments.what](arguments.build.resolve(), arguments.update))


if __name__ == "__main__":
    sys.exit(main())
