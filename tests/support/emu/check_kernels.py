#!/usr/bin/env python3
"""Runs the fuzzer on an emulated backend and checks that every kernel it can launch was executed.

The kernels are those that the launch templates instantiate for the trait, so a new one cannot be forgotten. Prints how
often each ran; exit code 1 when a case failed or a kernel never ran.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fuzz", required=True, help="nsameta_fuzz")
    parser.add_argument("--folder", required=True, help="folder of the backend's library")
    parser.add_argument("--backend", required=True, help="emu32 or emu64")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "kernels.txt"
        environment = os.environ | {"NSAMETA_BACKEND_DIR": options.folder, "NSAMETA_EMU_KERNELS": str(log)}
        command = [options.fuzz, "--cases", str(options.cases), "--seed", str(options.seed), "--minutes", "0"]
        command += ["--backend", f"{options.backend}_eager", "--out", folder]
        result = subprocess.run(command, env=environment, check=False)
        if result.returncode != 0:
            print(f"FAULT: {' '.join(command)} gave {result.returncode}")
            return 1
        counts = [line.split(" ", 1) for line in log.read_text().splitlines()]
    for count, kernel in counts:
        print(f"{count:>8} launches of {kernel}")
    idle = [kernel for count, kernel in counts if count == "0"]
    for kernel in idle:
        print(f"FAULT: {kernel} never ran")
    print(f"{len(counts) - len(idle)} of {len(counts)} kernels ran on {options.backend}, {options.cases} cases")
    return 1 if idle or not counts else 0


if __name__ == "__main__":
    sys.exit(main())
