"""Drop-in for SGLang 0.5.23's copy of metadata into the buffers of another backend, in one launch."""

import nsameta

DECODE = 0  # forward_mode; 1 and 2 are target-verify and draft-extend


def fused_metadata_copy_cuda(
    cache_seqlens_src,
    cu_seqlens_k_src,
    page_indices_src,
    dsa_cache_seqlens_src,
    seqlens_expanded_src,
    dsa_cu_seqlens_k_src,
    real_page_table_src,
    flashmla_num_splits_src,
    flashmla_metadata_src,
    cache_seqlens_dst,
    cu_seqlens_k_dst,
    page_table_1_dst,
    dsa_cache_seqlens_dst,
    seqlens_expanded_dst,
    dsa_cu_seqlens_k_dst,
    real_page_table_dst,
    flashmla_num_splits_dst,
    flashmla_metadata_dst,
    forward_mode,
    bs,
    max_len,
    max_seqlen_k,
    seqlens_expanded_size,
) -> None:
    """Copies metadata that was built once into the buffers of one backend. Element 0 of the cu arrays stays."""
    is_decode = forward_mode == DECODE
    tokens = bs if is_decode else seqlens_expanded_size
    rows = bs if is_decode else page_indices_src.shape[0]
    columns = max_len if is_decode else max_seqlen_k
    pairs = [
        (cache_seqlens_src[:bs], cache_seqlens_dst[:bs]),
        (cu_seqlens_k_src[1 : bs + 1], cu_seqlens_k_dst[1 : bs + 1]),
        (page_indices_src[:rows, :columns], page_table_1_dst[:rows, :columns]),
        (dsa_cache_seqlens_src[:tokens], dsa_cache_seqlens_dst[:tokens]),
        (dsa_cu_seqlens_k_src[1 : tokens + 1], dsa_cu_seqlens_k_dst[1 : tokens + 1]),
    ]
    if not is_decode:
        pairs.append((seqlens_expanded_src[:tokens], seqlens_expanded_dst[:tokens]))
    if real_page_table_src is not None:
        pages = real_page_table_src.shape[1]
        pairs.append((real_page_table_src[:rows], real_page_table_dst[:rows, :pages]))
    if flashmla_num_splits_src is not None:
        pairs.append((flashmla_num_splits_src[: tokens + 1], flashmla_num_splits_dst[: tokens + 1]))
        pairs.append((flashmla_metadata_src, flashmla_metadata_dst[: flashmla_metadata_src.shape[0]]))
    nsameta.copy_metadata(pairs)
