"""Random inputs and poisoned buffers for SGLang's fused metadata functions, and the two calls that fill them."""

from dataclasses import dataclass

import torch

import abi

POISON = -77_777_777
SLACK = 5  # elements, rows and columns of every buffer that nobody may touch

DECODE, VERIFY, DRAFT_EXTEND = "decode", "target_verify", "draft_extend"
MODES = {DECODE: abi.DECODE, VERIFY: abi.TARGET_VERIFY, DRAFT_EXTEND: abi.DRAFT_EXTEND}


@dataclass(frozen=True)
class Config:
    """What the peer compiles for."""

    mode: str
    batch: int
    page_size: int
    wide: bool  # page_table_1 is there
    next_n: int = 1  # tokens a request, the most of them where they are ragged
    ctx_lens: bool = False
    static: bool = False
    kpool: int = 0  # 0: the functions that know no pools
    topk: int = 2048
    dtype: torch.dtype = torch.int32  # of the inputs

    @property
    def max_tokens(self):
        return self.batch * self.next_n


@dataclass
class Inputs:
    seq_lens: torch.Tensor
    extend_seq_lens: torch.Tensor  # of draft_extend
    req_pool_indices: torch.Tensor
    req_to_token: torch.Tensor
    max_len: int  # columns of page_table_1 that may be written
    num_tokens: int


def random_lengths(rng, count, high):
    """Lengths in [0, high]: mostly uniform, some 0, some beside a multiple of 128."""
    uniform = torch.randint(0, high + 1, (count,), generator=rng)
    blocks = torch.randint(0, high // 128 + 1, (count,), generator=rng) * 128
    beside = (blocks + torch.randint(-1, 2, (count,), generator=rng)).clamp(0, high)
    kind = torch.randint(0, 8, (count,), generator=rng)
    return torch.where(kind == 0, 0, torch.where(kind <= 2, beside, uniform))


def random_inputs(config, rng, device, max_context):
    high = max_context - config.next_n if config.mode == VERIFY else max_context
    extend = torch.full((config.batch,), config.next_n)
    if config.mode == DRAFT_EXTEND and not config.static:
        extend = torch.randint(0, config.next_n + 1, (config.batch,), generator=rng)
    pool = config.batch + 3
    slots = torch.randint(0, 1 << 30, (pool, max_context), generator=rng, dtype=torch.int32)
    return Inputs(
        random_lengths(rng, config.batch, high).to(device, config.dtype),
        extend.to(device, config.dtype),
        torch.randperm(pool, generator=rng)[: config.batch].to(device, config.dtype),
        slots.to(device),
        int(torch.randint(1, max_context + 1, (1,), generator=rng)),
        config.batch if config.mode == DECODE else int(extend.sum()),
    )


def make_buffers(config, device, max_context, slack=SLACK):
    """Poisoned outputs by the library's names; absent ones are None."""

    def buffer(*shape):
        return torch.full(shape, POISON, dtype=torch.int32, device=device)

    batch, tokens = config.batch, config.max_tokens
    rows = batch if config.mode == DECODE else tokens
    pages = -(-max_context // config.page_size)
    return {
        "cache_seqlens": buffer(batch + slack),
        "cu_seqlens_k": buffer(batch + 1 + slack),
        "seqlens_expanded": None if config.mode == DECODE else buffer(tokens + slack),
        "nsa_cache_seqlens": buffer(tokens + slack),
        "nsa_cu_seqlens_k": buffer(tokens + 1 + slack),
        "page_table_1": buffer(rows + slack, max_context + slack) if config.wide else None,
        "real_page_table": buffer(rows + slack, pages + slack) if config.page_size > 1 else None,
        "paged_mqa_ctx_lens_2d": buffer(batch + slack, config.next_n) if config.ctx_lens else None,
    }


def call_peer(functions, config, inputs, buffers):
    batch = config.batch
    arguments = {
        "seq_lens": inputs.seq_lens,
        "req_pool_indices": inputs.req_pool_indices,
        "req_to_token": inputs.req_to_token,
        "cache_seqlens": buffers["cache_seqlens"][:batch],
        "cu_seqlens_k": buffers["cu_seqlens_k"],
        "page_table_1": buffers["page_table_1"],
        "dsa_cache_seqlens": buffers["nsa_cache_seqlens"],
        "dsa_cu_seqlens_k": buffers["nsa_cu_seqlens_k"],
        "real_page_table": buffers["real_page_table"],
        "bs": batch,
        "dsa_index_topk": config.topk,
        "physical_page_size": config.page_size,
        "max_len" if config.mode == DECODE else "max_seqlen_k": inputs.max_len,
    }
    if config.mode != DECODE:
        arguments["seqlens_expanded"] = buffers["seqlens_expanded"]
    if config.mode == VERIFY:
        arguments["next_n"] = config.next_n
        if config.ctx_lens:
            arguments["paged_mqa_ctx_lens_2d"] = buffers["paged_mqa_ctx_lens_2d"][:batch]
    if config.mode == DRAFT_EXTEND:
        arguments |= {
            "extend_seq_lens": inputs.extend_seq_lens,
            "total_len": inputs.num_tokens,
            "max_extend_len": config.next_n,
            "max_total_len": config.max_tokens,
            "static_extend_len": config.static,
        }
    name = f"fused_dsa_{config.mode}_metadata"
    if config.kpool > 0:
        name += "_kpool"
        arguments["index_kpool"] = config.kpool
    functions[name](**arguments)


def our_args(context, config, inputs, buffers, host_knows_width=False):
    """host_knows_width: the one width of all queries comes as a number, not from the device."""
    outputs = dict(buffers)
    if config.ctx_lens:
        outputs["paged_mqa_ctx_lens_2d"] = buffers["paged_mqa_ctx_lens_2d"][: config.batch]
    tensors = {
        "seq_lens": inputs.seq_lens,
        "req_pool_indices": inputs.req_pool_indices,
        "req_to_token": inputs.req_to_token,
    }
    has_number = config.mode == VERIFY or (config.static and host_knows_width)
    if config.mode == DRAFT_EXTEND and not has_number:
        tensors["extend_seq_lens"] = inputs.extend_seq_lens
    return context.build_args(
        outputs,
        tensors,
        mode=MODES[config.mode],
        batch=config.batch,
        tokens_per_request=config.next_n if has_number else 0,
        static_width=int(config.static and not has_number),
        topk=config.topk,
        kpool=max(config.kpool, 1),
        page_size=config.page_size,
        table_width=abi.TABLE_LIVE_128,
        max_table_width=inputs.max_len,
    )


def difference(theirs, ours):
    """None, or what differs first."""
    for name, expected in theirs.items():
        if expected is None or torch.equal(expected, ours[name]):
            continue
        where = tuple((expected != ours[name]).nonzero()[0].tolist())
        count = int((expected != ours[name]).sum())
        return f"{name}{list(where)}: theirs {int(expected[where])}, ours {int(ours[name][where])}; {count} elements"
    return None
