"""The metadata of a step by operations of torch, as an engine without fused kernels makes it."""

import torch


def _dsa(visible, topk, kpool):
    if kpool <= 1:
        return torch.clamp(visible, max=topk)
    full = visible // kpool * kpool
    return torch.clamp(full, max=topk) + (visible - full)


def expand(extend_seq_lens, kv, num_tokens):
    """Keys that each of the new tokens sees."""
    ends = torch.cumsum(extend_seq_lens, 0, dtype=torch.int32)
    first = torch.repeat_interleave(kv + 1 - ends, extend_seq_lens, output_size=num_tokens)
    return torch.clamp(first + torch.arange(num_tokens, dtype=torch.int32, device=kv.device), min=0)


def step(inputs, buffers, mode, width, topk, kpool, page_size, live, expand=expand):
    """Fills `buffers`; of the tables the first `live` columns. The host knows T, and what bounds the contexts."""
    kv = inputs.seq_lens + width if mode == "target_verify" else inputs.seq_lens
    batch = kv.shape[0]
    buffers["cache_seqlens"][:batch].copy_(kv)
    buffers["cu_seqlens_k"][1 : batch + 1].copy_(torch.cumsum(kv, 0, dtype=torch.int32))
    buffers["cu_seqlens_k"][:1].zero_()
    visible, owners = kv, None
    if mode == "target_verify":
        columns = torch.arange(1 - width, 1, dtype=torch.int32, device=kv.device)
        visible, owners = (kv[:, None] + columns).reshape(-1), width
    elif mode == "draft_extend":
        owners = inputs.extend_seq_lens
        visible = expand(owners, kv, inputs.num_tokens)
    num_tokens = visible.shape[0]
    if buffers.get("seqlens_expanded") is not None:
        buffers["seqlens_expanded"][:num_tokens].copy_(visible)
    kept = _dsa(visible, topk, kpool)
    buffers["nsa_cache_seqlens"][:num_tokens].copy_(kept)
    buffers["nsa_cu_seqlens_k"][1 : num_tokens + 1].copy_(torch.cumsum(kept, 0, dtype=torch.int32))
    buffers["nsa_cu_seqlens_k"][:1].zero_()
    slots = inputs.req_to_token[inputs.req_pool_indices.long(), :live]
    if owners is not None:
        slots = torch.repeat_interleave(slots, owners, dim=0, output_size=num_tokens)
    if buffers.get("page_table_1") is not None:
        buffers["page_table_1"][:num_tokens, :live].copy_(slots)
    pages = slots[:, ::page_size] // page_size
    buffers["real_page_table"][:num_tokens, : pages.shape[1]].copy_(pages)
