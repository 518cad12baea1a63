#!/usr/bin/env python3
"""Runs the fuzzer on an emulated backend and checks that every kernel it can launch was executed.

The kernels are those that the launch templates instantiate for the trait, so a new one cannot be forgotten. Runs go on,
each with a seed of its own, until every kernel ran or there were enough of them. Prints how often each kernel ran; exit
code 1 when a case failed or a kernel never ran.
"""

import argparse
import collections
import os
import pathlib
import subprocess
import sys
import tempfile


def run_fuzzer(options: argparse.Namespace, seed: int) -> collections.Counter | None:
    """Launches of each kernel, or None when a case failed."""
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "kernels.txt"
        environment = os.environ | {"NSAMETA_BACKEND_DIR": options.folder, "NSAMETA_EMU_KERNELS": str(log)}
        command = [options.fuzz, "--cases", str(options.cases), "--seed", str(seed), "--minutes", "0"]
        command += ["--backend", f"{options.backend}_eager", "--out", folder]
        result = subprocess.run(command, env=environment, check=False)
        if result.returncode != 0:
            print(f"FAULT: {' '.join(command)} gave {result.returncode}")
            return None
        lines = [line.split(" ", 1) for line in log.read_text().splitlines()]
        return collections.Counter({kernel: int(count) for count, kernel in lines})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fuzz", required=True, help="nsameta_fuzz")
    parser.add_argument("--folder", required=True, help="folder of the backend's library")
    parser.add_argument("--backend", required=True, help="emu32 or emu64")
    parser.add_argument("--cases", type=int, default=10_000, help="of a run")
    parser.add_argument("--max-runs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    options = parser.parse_args()
    counts = collections.Counter()
    num_runs = 0
    while num_runs < options.max_runs and (num_runs == 0 or 0 in counts.values()):
        more = run_fuzzer(options, options.seed + num_runs)
        if more is None:
            return 1
        counts.update(more)
        num_runs += 1
    for kernel, count in sorted(counts.items()):
        print(f"{count:>8} launches of {kernel}")
    idle = [kernel for kernel, count in counts.items() if count == 0]
    for kernel in idle:
        print(f"FAULT: {kernel} never ran")
    num_cases = num_runs * options.cases
    where = pathlib.Path(options.folder).name
    print(f"{len(counts) - len(idle)} of {len(counts)} kernels ran on {where}, {num_cases} cases")
    return 1 if idle or not counts else 0


if __name__ == "__main__":
    sys.exit(main())
