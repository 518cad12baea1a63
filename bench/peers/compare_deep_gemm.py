"""Compares paged_mqa_schedule with DeepGEMM's get_paged_mqa_logits_metadata, bit for bit."""

import argparse
import sys
import traceback

import torch

import abi
import deep_gemm_kernels
import groups

POISON = -77_777_777
# DeepGEMM compiles a kernel per number of SMs and per batch rounded up to 32; these share few.
BATCHES = (1, 3, 31, 32, 33, 64, 255, 256, 1000, 1024)
LARGE_BATCHES = (4096, 16_384)
FEW_SMS = 64
MAX_LENGTHS = (300, 5_000, 200_000, 1_000_000)


def random_lengths(rng, shape):
    """Lengths whose largest differs from case to case, some 0, some beside a multiple of 256."""
    high = MAX_LENGTHS[int(torch.randint(0, len(MAX_LENGTHS), (1,), generator=rng))]
    kind = torch.randint(0, 8, shape, generator=rng)
    uniform = torch.randint(0, high, shape, generator=rng)
    beside = (uniform // 256 * 256 + torch.randint(0, 2, shape, generator=rng)).clamp(max=high)
    lengths = torch.where(kind == 0, 0, torch.where(kind <= 2, beside, uniform)).to(torch.int32)
    if int(torch.randint(0, 10, (1,), generator=rng)) == 0:
        lengths.zero_()
    if shape[0] % 32 == 0:
        # Without any segment DeepGEMM's search ends behind its prefix sums, which are as many as the batch rounded up
        # to 32: it reads out of bounds of its shared memory.
        lengths[0] = lengths[0].clamp(min=1)
    return lengths


class Comparison:
    def __init__(self, module, context, rng):
        self.module = module
        self.context = context
        self.rng = rng

    def our_args(self, num_sms, seq_lens, **scalars):
        """Args that write the schedule alone, and the poisoned buffer that it goes to."""
        made = torch.full((num_sms + 1, 2), POISON, dtype=torch.int32, device="cuda")
        variant = scalars.pop("mqa_variant", abi.MQA_SM90_JUN26)
        return self.context.build_args(
            {"paged_mqa_schedule": made}, {"seq_lens": seq_lens}, topk=2048, mqa_variant=variant, **scalars
        ), made

    def judged(self, lengths, num_sms, args, ours):
        theirs = deep_gemm_kernels.schedule(self.module, lengths, num_sms)
        self.context.build_metadata(args)
        torch.cuda.synchronize()
        fault = self.context.take_fault()
        if fault:
            return f"fault {fault}"
        if torch.equal(theirs, ours):
            return None
        row = int((theirs != ours).any(dim=1).nonzero()[0])
        return f"row {row}: theirs {theirs[row].tolist()}, ours {ours[row].tolist()}"

    def one_column(self, case):
        """(B, 1): decode, a length per request."""
        batch, num_sms = case
        lengths = random_lengths(self.rng, (batch, 1)).cuda()
        args, ours = self.our_args(num_sms, lengths[:, 0], mode=abi.DECODE)
        return self.judged(lengths, num_sms, args, ours)

    def wide_lengths(self, case):
        """The same from int64 lengths."""
        batch, num_sms = case
        lengths = random_lengths(self.rng, (batch, 1)).cuda()
        args, ours = self.our_args(num_sms, lengths[:, 0].long(), mode=abi.DECODE)
        return self.judged(lengths, num_sms, args, ours)

    def by_token(self, case):
        """(T, 1): target verify, a length per token; T is the batch that DeepGEMM sees."""
        num_tokens, num_sms = case
        n = next(n for n in (4, 3, 2, 1) if num_tokens % n == 0)
        seq_lens = random_lengths(self.rng, (num_tokens // n,)).cuda()
        visible = seq_lens[:, None] + 1 + torch.arange(n, dtype=torch.int32, device="cuda")
        args, ours = self.our_args(num_sms, seq_lens, mode=abi.TARGET_VERIFY, tokens_per_request=n)
        return self.judged(visible.reshape(-1, 1).contiguous(), num_sms, args, ours)

    def next_n(self, case):
        """(B, n): the last column is the request's length."""
        batch, num_sms = case
        n = int(torch.randint(2, 7, (1,), generator=self.rng))
        lengths = random_lengths(self.rng, (batch, n)).cuda()
        args, ours = self.our_args(num_sms, lengths[:, n - 1], mode=abi.DECODE, mqa_next_n=n)
        return self.judged(lengths, num_sms, args, ours)


def make_cases(rng, count, sms):
    """Batches with the device's SMs, the small ones also with fewer."""
    cases = [(batch, sms) for batch in BATCHES] + [(batch, FEW_SMS) for batch in BATCHES if batch <= 32]
    order = torch.randperm(len(cases), generator=rng).tolist()
    return [cases[order[i % len(order)]] for i in range(count)]


def compare_all(comparison, report, count, sms):
    for label, compare in (
        ("(B, 1), decode", comparison.one_column),
        ("(B, 1), decode, int64", comparison.wide_lengths),
        ("(T, 1), target verify", comparison.by_token),
        ("(B, n), n in [2, 6]", comparison.next_n),
    ):
        report.run(label, make_cases(comparison.rng, count, sms), compare)
    for batch in LARGE_BATCHES:
        report.run(f"({batch}, 1), decode", [(batch, sms)] * max(1, count // 10), comparison.one_column)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=60, help="of a group")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    home = deep_gemm_kernels.prepare_environment()
    module = deep_gemm_kernels.load(home)
    context = abi.Context()
    sms = torch.cuda.get_device_properties(0).multi_processor_count
    print(f"nsameta {abi.library_path()}, backend {context.backend}; DeepGEMM {module.__version__}, CUDA in {home}")
    print(f"{torch.cuda.get_device_name()}, {sms} SMs; torch {torch.__version__}; seed {options.seed}", flush=True)
    try:
        deep_gemm_kernels.schedule(module, torch.ones((1, 1), dtype=torch.int32, device="cuda"), sms)
    except Exception:  # noqa: BLE001 - its compiler may be missing: the other one may do
        traceback.print_exc()
        deep_gemm_kernels.restart_with_nvrtc()
    report = groups.Report()
    comparison = Comparison(module, context, torch.Generator().manual_seed(options.seed))
    compare_all(comparison, report, options.cases, sms)
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
