"""Compares libnsameta with the fused metadata kernels of SGLang, bit for bit, what neither may touch included."""

import argparse
import itertools
import sys

import torch

import abi
import groups
import sglang_cases as cases
import sglang_kernels
from sglang_cases import DECODE, DRAFT_EXTEND, VERIFY, Config

BATCHES = (1, 3, 32, 33, 256)
TABLES = ((1, True), (64, True), (64, False))  # page size, page_table_1
TOPKS = (2048, 512, 64)
DTYPES = (torch.int32, torch.int64)
MAX_CONTEXT = 2900


def all_configs(mode, kpool):
    widths = {DECODE: (1,), VERIFY: (1, 2, 4), DRAFT_EXTEND: (4,)}[mode]
    flags = (False,) if mode == DECODE else (False, True)
    configs = []
    for i, (batch, (page, wide), n, flag) in enumerate(itertools.product(BATCHES, TABLES, widths, flags)):
        configs.append(
            Config(
                mode,
                batch,
                page,
                wide,
                next_n=n,
                ctx_lens=flag and mode == VERIFY,
                static=flag and mode == DRAFT_EXTEND,
                kpool=kpool,
                topk=TOPKS[(i + i // 3) % len(TOPKS)],
                dtype=DTYPES[(i // 2 + i // 15) % len(DTYPES)],
            )
        )
    return configs


def chosen(configs, rng, count):
    """`count` of them, in a random order that begins anew when all were there; 0: each one twice."""
    order = torch.randperm(len(configs), generator=rng).tolist()
    return [configs[order[i % len(order)]] for i in range(count or 2 * len(configs))]


class Comparison:
    def __init__(self, functions, context, device, rng, max_context):
        self.functions = functions
        self.context = context
        self.device = device
        self.rng = rng
        self.max_context = max_context

    def synchronize(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def fused(self, config):
        inputs = cases.random_inputs(config, self.rng, self.device, self.max_context)
        theirs = cases.make_buffers(config, self.device, self.max_context)
        ours = cases.make_buffers(config, self.device, self.max_context)
        cases.call_peer(self.functions, config, inputs, theirs)
        self.context.build_metadata(cases.our_args(self.context, config, inputs, ours))
        self.synchronize()
        return self.judged(cases.difference(theirs, ours))

    def seqlens_expand(self, batch):
        seq_lens = cases.random_lengths(self.rng, batch, 5000).to(self.device, torch.int32)
        extend = torch.randint(0, 9, (batch,), generator=self.rng).to(self.device, torch.int32)
        total = int(extend.sum())
        theirs = self.functions["seqlens_expand_triton"](extend, seq_lens, total, 8)
        ours = torch.full((total + cases.SLACK,), cases.POISON, dtype=torch.int32, device=self.device)
        args = self.context.build_args(
            {"seqlens_expanded": ours},
            {"seq_lens": seq_lens, "extend_seq_lens": extend},
            mode=abi.DRAFT_EXTEND,
            topk=2048,
        )
        self.context.build_metadata(args)
        self.synchronize()
        expected = torch.full_like(ours, cases.POISON)
        expected[:total] = theirs
        return self.judged(cases.difference({"seqlens_expanded": expected}, {"seqlens_expanded": ours}))

    def judged(self, found):
        fault = self.context.take_fault()
        return found or (fault and f"fault {fault}")


def compare_all(comparison, report, count):
    for kpool in (0, 1, 4):
        for mode in (DECODE, VERIFY, DRAFT_EXTEND):
            name = f"fused_dsa_{mode}_metadata" + ("_kpool" if kpool else "")
            label = f"{name}, kpool {kpool}" if kpool else name
            if name not in comparison.functions:
                report.fail(label, "not importable")
                continue
            report.run(label, chosen(all_configs(mode, kpool), comparison.rng, count), comparison.fused)
    if "seqlens_expand_triton" in comparison.functions:
        batches = [BATCHES[i % len(BATCHES)] for i in range(count or 30)]
        report.run("seqlens_expand_triton", batches, comparison.seqlens_expand)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=0, help="of a group; 0: every configuration twice")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--context", type=int, default=MAX_CONTEXT, help="longest length that is compared")
    parser.add_argument("--device", default="cuda", help="cpu: with python3 -O and TRITON_INTERPRET=1")
    options = parser.parse_args()

    functions, failures = sglang_kernels.load()
    context = abi.Context(abi.DEVICE_CUDA if options.device == "cuda" else abi.DEVICE_CPU)
    print(f"nsameta {abi.library_path()}, backend {context.backend}; torch {torch.__version__}; seed {options.seed}")
    report = groups.Report()
    for module, error in failures.items():
        report.fail(module, error)
    rng = torch.Generator().manual_seed(options.seed)
    comparison = Comparison(functions, context, options.device, rng, options.context)
    compare_all(comparison, report, options.cases)
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
