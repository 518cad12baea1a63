"""Which of the rules that nsameta knows SGLang's own functions follow here, found by comparing results.

The schedule's rule depends on the release of DeepGEMM, the top-k plan's on the GPU and on its clusters. Functions here
wait for the device: they are for the first replay of a batch size, never for a stream that is being captured.
"""

import importlib

import torch

import nsameta

_VARIANTS = ("v1", "apr26", "sm90_jun26", "sm100_jun26")
_ARCHS = ("hopper", "blackwell")
_BLOCK_KV = 64  # what SGLang passes to its schedule function
_UNTOUCHED = -1


def is_capturing(device):
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


def _spread(num, most, device):
    """Lengths from 1 to `most` in no order, the first of them `most`."""
    return most - torch.arange(num, device=device, dtype=torch.int64) * 7919 % most


def schedule_variant(function, num_sms, schedule, step):
    """The mqa_variant by which nsameta gives what SGLang's `function` gives; None if there is none.

    schedule    the tensor that the function's result goes into
    step        keyword arguments of build_metadata that the schedule depends on: mode, batch, tokens_per_request,
                mqa_lengths, mqa_next_n
    """
    matching = list(_VARIANTS)
    batch, width = step["batch"], step["tokens_per_request"]
    for most in (100, 10_000, 300_000):
        seq_lens = _spread(batch, most, schedule.device) + width
        theirs = function(_context_lengths(seq_lens, step), _BLOCK_KV, num_sms)
        for variant in tuple(matching):
            ours = torch.empty_like(schedule)
            nsameta.build_metadata(
                **step, seq_lens=seq_lens, topk=1, mqa_variant=variant, out={"paged_mqa_schedule": ours}
            )
            if not torch.equal(ours, theirs):
                matching.remove(variant)
    return matching[0] if matching else None


def _context_lengths(seq_lens, step):
    width = step["tokens_per_request"]
    kv = (seq_lens + (width if step["mode"] == "target_verify" else 0)).to(torch.int32)
    if step["mqa_lengths"] == "kv":
        return kv.view(-1, 1).expand(-1, max(step["mqa_next_n"], 1)).contiguous()
    before = torch.arange(width, device=kv.device, dtype=torch.int32) - (width - 1)
    return (kv.view(-1, 1) + before).view(-1, 1)


def topk_plan_arch(num_tokens, device):
    """The topk_plan_arch by which nsameta gives SGLang's plan for so many tokens.

    "" if SGLang leaves the plan alone; None if it is unlike any that nsameta knows.
    """
    plan_topk_v2 = importlib.import_module("sglang.kernels.ops.attention.dsv4.topk").plan_topk_v2
    matching = [*_ARCHS, ""]
    steps = torch.arange(num_tokens, device=device) % 32
    for visible in (
        _spread(num_tokens, 600_000, device),
        _spread(num_tokens, 60_000, device) + 10_000,
        _spread(num_tokens, 30_000, device) + 2_000 * steps * steps % 500_000,
        torch.full((num_tokens,), 700_000, device=device),
        torch.full((num_tokens,), 40_000, device=device),
    ):
        visible = visible.to(torch.int32)
        theirs = torch.full((num_tokens + 1, 2), _UNTOUCHED, dtype=torch.int32, device=device)
        plan_topk_v2(visible, out=theirs)
        matching = [arch for arch in matching if _is_same_plan(theirs, _topk_plan(visible, arch))]
    return matching[0] if matching else None


def _topk_plan(visible, arch):
    plan = torch.full((len(visible) + 1, 2), _UNTOUCHED, dtype=torch.int32, device=visible.device)
    if arch:
        nsameta.build_metadata(
            mode="decode",
            seq_lens=visible,
            topk=1,
            topk_plan_arch=arch,
            topk_plan_clusters=0,
            out={"topk_plan": plan},
        )
    return plan


def _is_same_plan(theirs, ours):
    """Whether two plans hold the same tokens, in whatever order, and no others."""
    order = theirs[1:, 0].argsort(stable=True)
    theirs = torch.cat((theirs[:1], theirs[1:][order]))
    return torch.equal(theirs, torch.cat((ours[:1], ours[1:][ours[1:, 0].argsort(stable=True)])))
