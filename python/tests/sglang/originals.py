"""The parameters of SGLang's functions, written down by hand, and where SGLang keeps the functions."""

_TABLES = "seq_lens, req_pool_indices, req_to_token, cache_seqlens, cu_seqlens_k, page_table_1"
_DECODE = (
    f"{_TABLES}, dsa_cache_seqlens, dsa_cu_seqlens_k, real_page_table, bs, max_len, dsa_index_topk, physical_page_size"
)
_VERIFY = (
    f"{_TABLES}, seqlens_expanded, dsa_cache_seqlens, dsa_cu_seqlens_k, real_page_table, bs, max_seqlen_k, "
    "dsa_index_topk, physical_page_size, next_n, paged_mqa_ctx_lens_2d=None"
)
_DRAFT_EXTEND = (
    "seq_lens, extend_seq_lens, req_pool_indices, req_to_token, cache_seqlens, cu_seqlens_k, page_table_1, "
    "seqlens_expanded, dsa_cache_seqlens, dsa_cu_seqlens_k, real_page_table, bs, total_len, max_seqlen_k, "
    "dsa_index_topk, physical_page_size, max_extend_len, max_total_len, static_extend_len=False"
)
_COPIED = (
    "cache_seqlens_{0}, cu_seqlens_k_{0}, {1}_{0}, dsa_cache_seqlens_{0}, seqlens_expanded_{0}, dsa_cu_seqlens_k_{0}, "
    "real_page_table_{0}, flashmla_num_splits_{0}, flashmla_metadata_{0}"
)
_COPY = (
    f"{_COPIED.format('src', 'page_indices')}, {_COPIED.format('dst', 'page_table_1')}, "
    "forward_mode, bs, max_len, max_seqlen_k, seqlens_expanded_size"
)

DSA = "sglang.kernels.ops.attention.dsa"
PAD = "sglang.kernels.ops.attention.pad"
BACKEND = "sglang.srt.layers.attention.dsa_backend"
SEED = "sglang.srt.layers.attention.nsa.triton_metadata_kernel"

# Of SGLang 0.5.23.
ORIGINALS = {
    f"{DSA}.metadata.fused_dsa_decode_metadata": _DECODE,
    f"{DSA}.metadata.fused_dsa_target_verify_metadata": _VERIFY,
    f"{DSA}.metadata.fused_dsa_draft_extend_metadata": _DRAFT_EXTEND,
    f"{DSA}.kpool_metadata.decode.fused_dsa_decode_metadata_kpool": f"{_DECODE}, index_kpool=1",
    f"{DSA}.kpool_metadata.verify.fused_dsa_target_verify_metadata_kpool": f"{_VERIFY}, index_kpool=1",
    f"{DSA}.kpool_metadata.draft_extend.fused_dsa_draft_extend_metadata_kpool": f"{_DRAFT_EXTEND}, index_kpool=1",
    f"{PAD}.seqlens_expand_triton": "extend_seq_lens, seq_lens, total_len, max_q_len",
    f"{DSA}.fused_metadata_copy.fused_metadata_copy_cuda": _COPY,
    f"{BACKEND}.DeepseekSparseAttnBackend._cal_indexer_k_start_end": "self, forward_batch, bs_idx=None",
}

# Of SGLang 0.5.23, answered at the level "replay".
REPLAY_ORIGINALS = {
    f"{BACKEND}.DeepseekSparseAttnBackend._apply_cuda_graph_metadata": (
        "self, bs, req_pool_indices, seq_lens, seq_lens_cpu, forward_mode, spec_info, out_cache_loc=None, "
        "actual_forward_mode=None"
    ),
    f"{BACKEND}.DeepseekSparseAttnBackend.init_forward_metadata": "self, forward_batch",
    f"{BACKEND}.DeepseekSparseAttnMultiStepBackend.init_forward_metadata_out_graph": (
        "self, forward_batch, in_capture=False"
    ),
}

# Of the release that the first kernel was written for.
SEED_ORIGINALS = {
    f"{SEED}.fill_draft_extend_metadata_fused_simple": "extend_seq_lens, seq_lens, nsa_index_topk",
    f"{SEED}.fill_draft_extend_metadata_inplace": (
        "extend_seq_lens, seq_lens, nsa_index_topk, out_seqlens_expanded, out_nsa_cache_seqlens"
    ),
    f"{SEED}.fill_draft_extend_metadata_fused": (
        "extend_seq_lens, seq_lens, cache_seqlens, cumulate_cache_seqlens, page_indices, nsa_index_topk, metadata"
    ),
}
