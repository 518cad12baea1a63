#!/usr/bin/env python3
"""Times our library and its peers in one process, on the cases of bench/cases.json that peers can build.

Each result is compared with ours first. What is not here is named and left out; what fails is a row that says so.
"""

import argparse
import datetime
import json
import re
import sys
from functools import partial
from pathlib import Path

import torch

import abi
import available
import bench_cases
import implementations
from sweep import Sweep

EPILOG = """columns (medians, quartiles of the repetitions in the JSON):
  graph_us   GPU time of a call inside a captured graph of 22, less one of 2; absent where the call synchronises
  cold_us    the same after L2 was overwritten, by turns on buffers that exceed it
  wall_us    host time until the call returns, on an idle device;  done_us: until the device is done, too
  api        calls of the CUDA API by one call (launches, copies and fills, synchronisations, allocations, other), from
             CUPTI through torch's profiler; null where it cannot tell. Counted after everything has been timed

exit codes: 0; 1 a result differs, or a peer that is here failed, which stops none of the others; 2 bad arguments

examples:
  NSAMETA_LIB=dist/nsameta-bundle/lib python3 bench/peers/bench_peers.py --json peers.json
  python3 bench/peers/bench_peers.py --quick --filter '^(verify|extend)/b(1_c4K|8_p0)'     # a first try, a minute
  python3 bench/peers/bench_peers.py --filter '^verify/' --impl 'nsameta|SGLang'
  TRITON_INTERPRET=1 python3 -O bench/peers/bench_peers.py --device cpu --quick --filter '^seed_q8/b(1|8)$'"""


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--filter", type=re.compile, default="", metavar="REGEX", help="cases it is found in")
    parser.add_argument("--impl", type=re.compile, default="", metavar="REGEX", help="implementations it is found in")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE, after each case anew")
    parser.add_argument("--repetitions", type=int, default=5, help="of each whole measurement (default: 5)")
    parser.add_argument("--quick", action="store_true", help="one repetition")
    parser.add_argument("--list", action="store_true", help="print the cases and who can build them here")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: wall times alone, to try it")
    options = parser.parse_args()
    if options.repetitions < 1:
        parser.error(f"--repetitions={options.repetitions} must be 1 or more")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device; --device cpu tries the program without one")
    if options.quick:
        options.repetitions = 1
    options.filter, options.impl = re.compile(options.filter), re.compile(options.impl)
    return options


def machine(options):
    if options.device == "cpu":
        return {"device": "no GPU, Triton interpreted", "driver": "none"}
    version = Path("/proc/driver/nvidia/version")
    found = re.search(r"\d+\.[\d.]+", version.read_text()) if version.exists() else None
    return {
        "device": torch.cuda.get_device_name(),
        "driver": found.group() if found else "unknown",
        "num_multiprocessors": torch.cuda.get_device_properties(0).multi_processor_count,
    }


def describe(row):
    if "error" in row:
        return f"FAILED: {row['error']}"
    figures = [f"{name} {value['median']:.2f}" for name, value in row["metrics"].items()]
    return ", ".join([*figures, *([row["no_graph"]] if "no_graph" in row else [])])


def print_rows(rows, text_of):
    for row in rows:
        print(f"{row['case']:32} {row['impl']:32} {text_of(row)}", flush=True)


def list_cases(cases, candidates_of):
    for case in cases:
        names = [candidate.impl for candidate in candidates_of(case)]
        if names:
            print(f"{case.name}: {', '.join(names)}")


def run(cases, sweep, document, options):
    """Fills the rows of the document, which is written after each case anew."""

    def save():
        if options.json:
            options.json.write_text(json.dumps(document, indent=1) + "\n")

    rows_of = {}
    for i, case in enumerate(cases):
        rows = rows_of[case.name] = sweep.rows_of(case)
        if rows:
            print(f"[{i + 1}/{len(cases)}] {case.name}", file=sys.stderr)
        print_rows(rows, describe)
        document["rows"] += rows
        save()
    if options.device == "cpu":
        return
    print("counting calls of the CUDA API", file=sys.stderr)  # last: the profiler slows whatever comes after it
    for case in cases:
        sweep.count_api_calls(case, rows_of[case.name])
        counted = [row for row in rows_of[case.name] if row.get("api")]
        print_rows(counted, lambda row: ", ".join(f"{kind} {number}" for kind, number in row["api"].items()))
        save()


def main():
    options = parse()
    peers = available.Peers(options.device)
    for name, why in peers.absent.items():
        print(f"{name} is not here: {why}", file=sys.stderr)
    for name, why in peers.failed.items():
        print(f"{name} FAILED: {why}", file=sys.stderr)
    cases = [case for case in bench_cases.all_cases() if options.filter.search(case.name)]
    candidates_of = partial(implementations.candidates, peers)
    if options.list:
        list_cases(cases, candidates_of)
        return 0
    document = {
        "schema": "nsameta-bench-1",
        "program": "bench_peers",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": " ".join(sys.argv),
        "repetitions": options.repetitions,
        "machine": machine(options),
        "versions": {"torch": torch.__version__, "library": str(abi.library_path()) if peers.context else None},
        "absent": peers.absent,
        "failed": peers.failed,
        "rows": [],
    }
    run(cases, Sweep(candidates_of, peers.is_gpu, options.repetitions, options.impl), document, options)
    has_failed = bool(peers.failed) or any("error" in row for row in document["rows"])
    if not document["rows"]:
        print("none of these cases is one that peers can build, or --impl is found in no name", file=sys.stderr)
    return 1 if has_failed else 0


if __name__ == "__main__":
    sys.exit(main())
