"""Drop-ins for the metadata functions of SGLang 0.5.23, with their signatures.

They write what the originals write, element for element, and leave alone what those leave alone; tensors may be on any
device that nsameta serves. `fused_dsa_*` fill buffers that outlive the step (those of a CUDA graph) in one launch.
"""

import inspect
import types

import torch

import nsameta
from nsameta.sglang.fused_metadata_copy import fused_metadata_copy_cuda

__all__ = [
    "fused_dsa_decode_metadata",
    "fused_dsa_decode_metadata_kpool",
    "fused_dsa_draft_extend_metadata",
    "fused_dsa_draft_extend_metadata_kpool",
    "fused_dsa_target_verify_metadata",
    "fused_dsa_target_verify_metadata_kpool",
    "fused_metadata_copy_cuda",
    "seqlens_expand_triton",
]


def _without_kpool(function):
    """The function for models without pools: the same code, with one parameter less in its signature."""
    twin = types.FunctionType(
        function.__code__, function.__globals__, function.__name__.removesuffix("_kpool"), function.__defaults__
    )
    signature = inspect.signature(function)
    twin.__signature__ = signature.replace(parameters=list(signature.parameters.values())[:-1])
    twin.__doc__ = function.__doc__
    twin.__module__ = function.__module__
    return twin


def fused_dsa_decode_metadata_kpool(
    seq_lens,
    req_pool_indices,
    req_to_token,
    cache_seqlens,
    cu_seqlens_k,
    page_table_1,
    dsa_cache_seqlens,
    dsa_cu_seqlens_k,
    real_page_table,
    bs,
    max_len,
    dsa_index_topk,
    physical_page_size,
    index_kpool=1,
) -> None:
    """Lengths and tables of a decode step of `bs` requests; page_table_1 may be None with physical_page_size > 1."""
    nsameta.build_metadata(
        mode="decode",
        batch=bs,
        seq_lens=seq_lens,
        req_pool_indices=req_pool_indices,
        req_to_token=req_to_token,
        topk=dsa_index_topk,
        kpool=index_kpool,
        page_size=physical_page_size,
        max_table_width=max_len,
        out={
            "cache_seqlens": cache_seqlens,
            "cu_seqlens_k": cu_seqlens_k,
            "page_table_1": page_table_1,
            "nsa_cache_seqlens": dsa_cache_seqlens,
            "nsa_cu_seqlens_k": dsa_cu_seqlens_k,
            "real_page_table": real_page_table if physical_page_size > 1 else None,
        },
    )


fused_dsa_decode_metadata = _without_kpool(fused_dsa_decode_metadata_kpool)


def fused_dsa_target_verify_metadata_kpool(
    seq_lens,
    req_pool_indices,
    req_to_token,
    cache_seqlens,
    cu_seqlens_k,
    page_table_1,
    seqlens_expanded,
    dsa_cache_seqlens,
    dsa_cu_seqlens_k,
    real_page_table,
    bs,
    max_seqlen_k,
    dsa_index_topk,
    physical_page_size,
    next_n,
    paged_mqa_ctx_lens_2d=None,
    index_kpool=1,
) -> None:
    """Lengths and tables of `next_n` draft tokens of each of `bs` requests, whose keys are not in seq_lens yet."""
    nsameta.build_metadata(
        mode="target_verify",
        batch=bs,
        tokens_per_request=next_n,
        seq_lens=seq_lens,
        req_pool_indices=req_pool_indices,
        req_to_token=req_to_token,
        topk=dsa_index_topk,
        kpool=index_kpool,
        page_size=physical_page_size,
        max_table_width=max_seqlen_k,
        out={
            "cache_seqlens": cache_seqlens,
            "cu_seqlens_k": cu_seqlens_k,
            "page_table_1": page_table_1,
            "seqlens_expanded": seqlens_expanded,
            "nsa_cache_seqlens": dsa_cache_seqlens,
            "nsa_cu_seqlens_k": dsa_cu_seqlens_k,
            "real_page_table": real_page_table if physical_page_size > 1 else None,
            "paged_mqa_ctx_lens_2d": paged_mqa_ctx_lens_2d,
        },
    )


fused_dsa_target_verify_metadata = _without_kpool(fused_dsa_target_verify_metadata_kpool)


def fused_dsa_draft_extend_metadata_kpool(
    seq_lens,
    extend_seq_lens,
    req_pool_indices,
    req_to_token,
    cache_seqlens,
    cu_seqlens_k,
    page_table_1,
    seqlens_expanded,
    dsa_cache_seqlens,
    dsa_cu_seqlens_k,
    real_page_table,
    bs,
    total_len,
    max_seqlen_k,
    dsa_index_topk,
    physical_page_size,
    max_extend_len,
    max_total_len,
    static_extend_len=False,
    index_kpool=1,
) -> None:
    """Lengths and tables of extend_seq_lens[r] tokens of each request, `total_len` of them; negative lengths become 0.

    static_extend_len: extend_seq_lens[0] holds for all. AssertionError where total_len exceeds max_total_len or
    bs * max_extend_len.
    """
    if total_len > min(max_total_len, bs * max_extend_len):
        raise AssertionError(f"{total_len=} exceeds {max_total_len=} or {bs=} * {max_extend_len=}")
    # As many tokens as the widest queries of all requests: the host knows the width, no one reads it on the device.
    is_width_known = bool(static_extend_len) and 0 < total_len == bs * max_extend_len
    nsameta.build_metadata(
        mode="draft_extend",
        batch=bs,
        tokens_per_request=max_extend_len if is_width_known else 0,
        static_width=bool(static_extend_len) and not is_width_known,
        num_tokens_bound=total_len,
        seq_lens=seq_lens,
        extend_seq_lens=None if is_width_known else extend_seq_lens,
        req_pool_indices=req_pool_indices,
        req_to_token=req_to_token,
        topk=dsa_index_topk,
        kpool=index_kpool,
        page_size=physical_page_size,
        max_table_width=max_seqlen_k,
        out={
            "cache_seqlens": cache_seqlens,
            "cu_seqlens_k": cu_seqlens_k,
            "page_table_1": page_table_1,
            "seqlens_expanded": seqlens_expanded,
            "nsa_cache_seqlens": dsa_cache_seqlens,
            "nsa_cu_seqlens_k": dsa_cu_seqlens_k,
            "real_page_table": real_page_table if physical_page_size > 1 else None,
        },
    )


fused_dsa_draft_extend_metadata = _without_kpool(fused_dsa_draft_extend_metadata_kpool)


def seqlens_expand_triton(extend_seq_lens, seq_lens, total_len, max_q_len):
    """Returns new seqlens_expanded [total_len] int32, negative lengths as 0. max_q_len is not needed here."""
    seqlens_expanded = extend_seq_lens.new_empty(total_len, dtype=torch.int32)
    nsameta.build_metadata(
        mode="draft_extend",
        batch=extend_seq_lens.numel(),
        seq_lens=seq_lens,
        extend_seq_lens=extend_seq_lens,
        topk=1,
        num_tokens_bound=total_len,
        out={"seqlens_expanded": seqlens_expanded},
    )
    return seqlens_expanded
