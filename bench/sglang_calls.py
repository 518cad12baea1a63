"""Host time of SGLang's metadata functions and of those that stand in for them, on a CUDA GPU:

PYTHONPATH=... ./dev exec python3 bench/sglang_calls.py [--json FILE]

where PYTHONPATH leads to a package `sglang` with its kernels. Each call is timed by itself on an idle stream, in turn
with SGLang's and with a run of a plan for the same outputs; printed are medians and quartiles, how many times as long
SGLang's takes, and what it needs for the first call of a batch size.
"""

import argparse
import importlib
import json
import statistics
import time

import nsameta
import torch
from nsameta.sglang import metadata

DSA = "sglang.kernels.ops.attention.dsa"
NEXT_N, CONTEXT, TOPK, PAGE = 4, 4096, 2048, 64
BATCHES = (1, 32, 256)
CALLS = ("plan", "stand_in", "sglang")


def int32(*shape):
    return torch.zeros(shape, dtype=torch.int32, device="cuda")


def arguments_of(mode, batch):
    """As in a replay with both tables: 12 tensors at verify with context lengths."""
    width = 1 if mode == "decode" else NEXT_N
    tokens = batch * width
    arguments = {
        "seq_lens": int32(batch) + CONTEXT // 2,
        "req_pool_indices": torch.arange(batch, device="cuda"),
        "req_to_token": int32(batch, CONTEXT),
        "cache_seqlens": int32(batch),
        "cu_seqlens_k": int32(batch + 1),
        "page_table_1": int32(tokens, CONTEXT),
        "dsa_cache_seqlens": int32(tokens),
        "dsa_cu_seqlens_k": int32(tokens + 1),
        "real_page_table": int32(tokens, CONTEXT // PAGE),
        "bs": batch,
        "dsa_index_topk": TOPK,
        "physical_page_size": PAGE,
    }
    if mode == "decode":
        return arguments | {"max_len": CONTEXT}
    arguments |= {"seqlens_expanded": int32(tokens), "max_seqlen_k": CONTEXT}
    if mode == "target_verify":
        return arguments | {"next_n": NEXT_N, "paged_mqa_ctx_lens_2d": int32(batch, NEXT_N)}
    return arguments | {
        "extend_seq_lens": int32(batch) + NEXT_N,
        "total_len": tokens,
        "max_extend_len": NEXT_N,
        "max_total_len": tokens,
    }


def cases():
    """(name, batch, module of SGLang, arguments)"""
    for batch in BATCHES:
        for mode, module in (("decode", "decode"), ("target_verify", "verify"), ("draft_extend", "draft_extend")):
            arguments = arguments_of(mode, batch)
            yield f"fused_dsa_{mode}_metadata", batch, f"{DSA}.metadata", arguments
            yield (
                f"fused_dsa_{mode}_metadata_kpool",
                batch,
                f"{DSA}.kpool_metadata.{module}",
                arguments | {"index_kpool": 4},
            )
        expand = [int32(batch) + NEXT_N, int32(batch) + CONTEXT // 2, batch * NEXT_N, NEXT_N]
        yield "seqlens_expand_triton", batch, "sglang.kernels.ops.attention.pad", expand


def caller(function, arguments):
    if isinstance(arguments, dict):
        return lambda: function(**arguments)
    return lambda: function(*arguments)


def seconds(call):
    begin = time.perf_counter()
    call()
    end = time.perf_counter()
    torch.cuda.synchronize()
    return end - begin


def plan_of(function, arguments):
    """The plan for what a stand-in builds."""
    made, build = [], nsameta.build_metadata
    nsameta.build_metadata = lambda **bound: made.append(nsameta.Plan(**bound))
    try:
        caller(function, arguments)()
    finally:
        nsameta.build_metadata = build
    return made[0]


def measure(calls, num_calls):
    """{name: quartiles in us}; the calls take turns."""
    samples = {name: [] for name in calls}
    for _ in range(num_calls):
        for name, call in calls.items():
            samples[name].append(seconds(call) * 1e6)
    names = ("q1", "median", "q3")
    return {who: dict(zip(names, statistics.quantiles(values, n=4), strict=True)) for who, values in samples.items()}


TITLE = f"{'plan.run':22} {'stand-in':22} {'SGLang':24}{'x plan':>7}{'x call':>7}"


def line_of(row):
    """The columns of TITLE."""
    texts = [f"{row[who]['median']:6.2f} ({row[who]['q1']:.2f}, {row[who]['q3']:.2f})" for who in CALLS]
    ratios = [row["sglang"]["median"] / row[who]["median"] for who in ("plan", "stand_in")]
    return f"{texts[0]:22} {texts[1]:22} {texts[2]:24}{ratios[0]:7.1f}{ratios[1]:7.1f}"


def options_of(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--calls", type=int, default=2000, help="timed calls of each function (%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    return parser.parse_args()


def write_json(path, rows):
    with open(path, "w") as file:
        json.dump({"gpu": torch.cuda.get_device_name(), "rows": rows}, file, indent=1)


def main():
    options, rows = options_of(__doc__.splitlines()[0]), []
    print(f"{torch.cuda.get_device_name()}, host us of a call: median (quartiles); first: SGLang's first call, ms")
    print(f"{'function':40}{'batch':>5}  {TITLE}{'first':>8}")
    for name, batch, module, arguments in cases():
        ours = getattr(metadata, name)
        theirs = caller(getattr(importlib.import_module(module), name), arguments)
        row = {"function": name, "batch": batch, "first_call_ms": seconds(theirs) * 1e3}
        calls = (plan_of(ours, arguments).run, caller(ours, arguments), theirs)
        row |= measure(dict(zip(CALLS, calls, strict=True)), options.calls)
        rows.append(row)
        print(f"{name:40}{batch:5}  {line_of(row)}{row['first_call_ms']:8.1f}")
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
