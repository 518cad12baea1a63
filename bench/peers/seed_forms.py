"""The seed operation in the forms that it had before: draft-extend lengths without clamp, in Python, torch and Triton.

Written from the formulas: token j of a request with q new tokens sees kv - q + 1 + j keys, and reads min(that, topk).
"""

import torch
import triton
import triton.language as tl


def python_loop(extend_seq_lens, seq_lens, topk):
    """Two copies to the host, an arange a request."""
    queries, lens = extend_seq_lens.tolist(), seq_lens.tolist()
    device = seq_lens.device
    visible = torch.cat(
        [
            torch.arange(kv - q + 1, kv + 1, dtype=torch.int32, device=device)
            for q, kv in zip(queries, lens, strict=True)
        ]
    )
    return visible, torch.clamp(visible, max=topk)


def vectorised(extend_seq_lens, seq_lens, topk, num_tokens):
    """Operations of torch on all requests at once; the host knows T."""
    ends = torch.cumsum(extend_seq_lens, 0, dtype=torch.int32)
    first = torch.repeat_interleave(seq_lens + 1 - ends, extend_seq_lens, output_size=num_tokens)
    visible = first + torch.arange(num_tokens, dtype=torch.int32, device=seq_lens.device)
    return visible, torch.clamp(visible, max=topk)


@triton.jit
def _expand_kernel(extend_seq_lens, seq_lens, ends, visible, kept, topk, BLOCK: tl.constexpr):
    request = tl.program_id(0)
    q = tl.load(extend_seq_lens + request)
    first = tl.load(seq_lens + request) - q + 1
    start = tl.load(ends + request) - q
    for begin in range(0, q, BLOCK):
        j = begin + tl.arange(0, BLOCK)
        value = first + j
        tl.store(visible + start + j, value, mask=j < q)
        tl.store(kept + start + j, tl.minimum(value, topk), mask=j < q)


def triton_in_place(extend_seq_lens, seq_lens, topk, max_q, visible, kept):
    """A scan by torch, then a program a request."""
    ends = torch.cumsum(extend_seq_lens, 0, dtype=torch.int32)
    block = min(triton.next_power_of_2(max_q), 1024)
    _expand_kernel[(extend_seq_lens.shape[0],)](extend_seq_lens, seq_lens, ends, visible, kept, topk, BLOCK=block)


def triton_allocating(extend_seq_lens, seq_lens, topk, max_q):
    """The same into memory of its own, for which the host reads T."""
    num_tokens = int(extend_seq_lens.sum())
    visible = torch.empty(num_tokens, dtype=torch.int32, device=seq_lens.device)
    kept = torch.empty_like(visible)
    triton_in_place(extend_seq_lens, seq_lens, topk, max_q, visible, kept)
    return visible, kept
