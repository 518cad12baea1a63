"""The functions of SGLang's nsa.triton_metadata_kernel by their names, arguments and results.

Lengths are int32 or int64 and outputs int32, all 1-D and on one device, which may be the CPU; B is the batch, T the sum
of extend_seq_lens. Each function waits for the device once, to learn T, as the originals do.
"""

import torch

import nsameta


def fill_draft_extend_metadata_fused_simple(
    extend_seq_lens: torch.Tensor, seq_lens: torch.Tensor, nsa_index_topk: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns new (seqlens_expanded, nsa_cache_seqlens), [T] int32 each."""
    total_tokens = int(extend_seq_lens.sum())
    seqlens_expanded = seq_lens.new_empty(total_tokens, dtype=torch.int32)
    nsa_cache_seqlens = torch.empty_like(seqlens_expanded)
    _fill(extend_seq_lens, seq_lens, nsa_index_topk, total_tokens, seqlens_expanded, nsa_cache_seqlens)
    return seqlens_expanded, nsa_cache_seqlens


def fill_draft_extend_metadata_inplace(
    extend_seq_lens: torch.Tensor,
    seq_lens: torch.Tensor,
    nsa_index_topk: int,
    out_seqlens_expanded: torch.Tensor,
    out_nsa_cache_seqlens: torch.Tensor,
) -> int:
    """Writes the first T elements of buffers that may be larger and returns T. AssertionError where one is smaller."""
    total_tokens = int(extend_seq_lens.sum())
    for name, buffer in (
        ("out_seqlens_expanded", out_seqlens_expanded),
        ("out_nsa_cache_seqlens", out_nsa_cache_seqlens),
    ):
        if buffer.shape[0] < total_tokens:
            raise AssertionError(f"{name} holds {buffer.shape[0]} elements, fewer than the {total_tokens} tokens")
    _fill(extend_seq_lens, seq_lens, nsa_index_topk, total_tokens, out_seqlens_expanded, out_nsa_cache_seqlens)
    return total_tokens


def fill_draft_extend_metadata_fused(
    extend_seq_lens: torch.Tensor,
    seq_lens: torch.Tensor,
    cache_seqlens: torch.Tensor,
    cumulate_cache_seqlens: torch.Tensor,
    page_indices: torch.Tensor,
    nsa_index_topk: int,
    metadata,
) -> None:
    """Fills the tensors of `metadata` in place; with no tokens it writes nothing.

    nsa_seqlens_expanded and nsa_cache_seqlens_int32 are computed; cache_seqlens_int32, cu_seqlens_k[1:] and
    page_table_1 receive cache_seqlens, cumulate_cache_seqlens and page_indices [rows, columns].
    """
    total_tokens = int(extend_seq_lens.sum())
    if total_tokens == 0:
        return
    _fill(
        extend_seq_lens,
        seq_lens,
        nsa_index_topk,
        total_tokens,
        metadata.nsa_seqlens_expanded,
        metadata.nsa_cache_seqlens_int32,
    )
    rows, columns = page_indices.shape
    batch = cache_seqlens.shape[0]
    metadata.cache_seqlens_int32[:batch].copy_(cache_seqlens)
    metadata.cu_seqlens_k[1 : 1 + cumulate_cache_seqlens.shape[0]].copy_(cumulate_cache_seqlens)
    metadata.page_table_1[:rows, :columns].copy_(page_indices)


def _fill(extend_seq_lens, seq_lens, topk, total_tokens, seqlens_expanded, nsa_cache_seqlens):
    nsameta.build_metadata(
        mode="draft_extend",
        clamp=False,
        seq_lens=seq_lens,
        extend_seq_lens=extend_seq_lens,
        topk=topk,
        num_tokens_bound=total_tokens,
        out={"seqlens_expanded": seqlens_expanded, "nsa_cache_seqlens": nsa_cache_seqlens},
    )
