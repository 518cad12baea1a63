#!/usr/bin/env python3
"""Times our library and its peers in one process, on the cases of bench/cases.json that peers can build.

Each result is compared with ours first. What is not here is named and left out; what fails is a row that says so.
"""

import argparse
import datetime
import gc
import json
import re
import sys
import traceback
from pathlib import Path

import torch

import abi
import available
import bench_cases
import implementations
import measure

EPILOG = """columns (medians, quartiles of the repetitions in the JSON):
  graph_us   GPU time of a call inside a captured graph of 22, less one of 2; absent where the call synchronises
  wall_us    host time until the call returns, on an idle device;  done_us: until the device is done, too
  launches   kernels, copies and fills of a call, by torch's profiler;  syncs: by torch's sync debug mode

exit codes: 0; 1 a result differs, or a peer that is here failed; 2 bad arguments

examples:
  NSAMETA_LIB=dist/nsameta-bundle/lib python3 bench/peers/bench_peers.py --json peers.json
  python3 bench/peers/bench_peers.py --filter '^verify/' --impl 'nsameta|SGLang'
  TRITON_INTERPRET=1 python3 -O bench/peers/bench_peers.py --device cpu --quick --filter '^seed_q8/b(1|8)$'"""


_told = set()  # implementations whose failure was printed in full


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


def difference(expected, made):
    """None, or the first output that differs, of those that both have."""
    for name in expected.keys() & made.keys():
        theirs, ours = made[name], expected[name]
        if theirs.shape != ours.shape:
            return f"{name}: shape {tuple(theirs.shape)}, ours {tuple(ours.shape)}"
        if not torch.equal(theirs, ours):
            return f"{name}: {int((theirs != ours).sum())} elements differ from ours"
    return None


def run_case(peers, case, options):
    """Rows of the case. The first candidate, ours, is what the others are compared with."""
    rows, expected = [], None
    for candidate in implementations.candidates(peers, case):
        if expected is not None and not options.impl.search(candidate.impl):
            continue
        row = {"case": case.name, "group": case.group, "impl": candidate.impl, "variant": "plain"}
        row |= {"batch": case.batch, "context": max(case.context, case.long_context)}
        try:
            call, outputs = candidate.make()
            call()
            if peers.is_gpu:
                torch.cuda.synchronize()
            made = {name: tensor.clone() for name, tensor in outputs().items()}
            expected = made if expected is None and candidate.impl.startswith("nsameta") else expected
            found = difference(expected, made) if expected is not None else None
            if not options.impl.search(candidate.impl):
                continue
            row |= measure.measure(call, options.repetitions, peers.is_gpu)
            row |= {"ok": found is None, "error": found} if found else {"ok": True}
        except Exception as error:  # noqa: BLE001 - a peer that fails must not take the others' rows along
            row["error"] = repr(error)
            if candidate.impl not in _told:
                traceback.print_exc()  # once: most failures come in every case
                _told.add(candidate.impl)
        rows.append(row)
        call = outputs = made = None
        gc.collect()
    return rows


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
    facts = [f"{name} {row[name]}" for name in ("launches", "syncs", "no_graph") if row.get(name) is not None]
    return ", ".join(figures + facts)


def main():
    options = parse()
    peers = available.Peers(options.device)
    for name, why in peers.absent.items():
        print(f"{name} is not here: {why}", file=sys.stderr)
    for name, why in peers.failed.items():
        print(f"{name} FAILED: {why}", file=sys.stderr)
    found = [case for case in bench_cases.all_cases() if options.filter.search(case.name)]
    if options.list:
        for case in found:
            names = [candidate.impl for candidate in implementations.candidates(peers, case)]
            if names:
                print(f"{case.name}: {', '.join(names)}")
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
    for i, case in enumerate(found):
        rows = run_case(peers, case, options)
        if rows:
            print(f"[{i + 1}/{len(found)}] {case.name}", file=sys.stderr)
        for row in rows:
            print(f"{row['case']:32} {row['impl']:32} {describe(row)}", flush=True)
        document["rows"] += rows
        if options.json:
            options.json.write_text(json.dumps(document, indent=1) + "\n")
    has_failed = bool(peers.failed) or any("error" in row for row in document["rows"])
    if not document["rows"]:
        print("none of these cases is one that peers can build, or --impl is found in no name", file=sys.stderr)
    return 1 if has_failed else 0


if __name__ == "__main__":
    sys.exit(main())
