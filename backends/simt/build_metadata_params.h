// What the build_metadata kernels read: a checked descriptor, reshaped on the host so that the kernels only add.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/backend.h"
#include "core/formula.h"

namespace nsameta::simt {

// int32 elements at any stride. An int64 vector is read as the low words of its elements: truncation costs nothing.
struct strided_lengths {
  const char* data;
  std::int32_t stride_bytes;
};

enum token_output : int {
  EXPANDED,   // seqlens_expanded
  SPARSE,     // nsa_cache_seqlens
  SPARSE_CU,  // nsa_cu_seqlens_k
  REQUEST,    // token_to_batch_idx
  POSITION,   // positions
  OFFSET,     // topk_indices_offset
  KEY_START,  // indexer_ks
  KEY_END,    // indexer_ke
  kNumTokenOutputs
};

// Every 64-byte line of parameters that a kernel touches costs it 20 to 30 ns (H200, 2026-11-22), so what all launches
// read comes first, and the address of an output is not touched when its capacity is 0.
struct build_metadata_params {
  strided_lengths seq_lens;
  strided_lengths query_lens;
  std::int32_t batch;
  std::int32_t kv_offset;
  std::int32_t query_width;   // QUERY_CONSTANT
  std::uint8_t query_source;  // nsameta_query_source
  std::uint8_t clamp;
  std::uint8_t tail;  // nsameta_tail
  std::uint8_t positions_are_int64;
  formula::sparsity sparsity;
  std::int32_t num_slices;  // small kernel: warps that share the tokens of a group of requests
  std::int32_t group_bits;  // small kernel: bits of a warp's number that tell its group

  std::int32_t capacity[kNumTokenOutputs];  // 0: not wanted
  std::int32_t max_token_capacity;          // over the wanted per-token outputs: how far tails reach
  std::int32_t min_token_capacity;          // a larger T is a fault
  std::int32_t requests_per_chunk;          // large kernel
  std::int32_t ctx_lens_columns;
  std::uint32_t is_aligned;  // bit k: token output k starts at a multiple of 16 bytes
  std::uint64_t* fault_word;

  std::int32_t* token_data[kNumTokenOutputs];
  std::int32_t* cache_seqlens;
  std::int32_t* cu_seqlens_k;
  std::int32_t* cu_seqlens_q;
  std::int32_t* total_tokens;
  std::int32_t* ctx_lens;
  std::int64_t ctx_lens_row_stride;
};

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// With no request there may be no vector either, while a kernel reads element 0 before it knows: it gets `any_word`.
inline strided_lengths make_lengths(const nsameta_lengths& lengths, std::int32_t batch, const void* any_word) {
  if (batch == 0) return {static_cast<const char*>(any_word), 0};
  const std::int64_t element_bytes = lengths.dtype == NSAMETA_INT64 ? 8 : 4;
  return {static_cast<const char*>(lengths.data), static_cast<std::int32_t>(lengths.stride * element_bytes)};
}

inline void set_token_output(build_metadata_params& p, token_output k, const nsameta_output& output) {
  if (output.data == nullptr) return;
  p.token_data[k] = static_cast<std::int32_t*>(output.data);
  p.capacity[k] = formula::saturate(output.capacity);
  if (reinterpret_cast<std::uintptr_t>(output.data) % 16 == 0) p.is_aligned |= 1U << k;
  p.max_token_capacity = std::max(p.max_token_capacity, p.capacity[k]);
  p.min_token_capacity = std::min(p.min_token_capacity, p.capacity[k] - (k == SPARSE_CU ? 1 : 0));
}

inline build_metadata_params make_params(const nsameta_build_metadata_desc& desc, std::uint64_t* fault_word) {
  build_metadata_params p{};
  p.seq_lens = make_lengths(desc.seq_lens, desc.batch, fault_word);
  p.query_lens = make_lengths(desc.extend_seq_lens, desc.batch, fault_word);
  p.batch = desc.batch;
  p.kv_offset = desc.kv_offset;
  p.query_width = desc.query_width;
  p.tail = static_cast<std::uint8_t>(desc.tail);
  p.sparsity = formula::sparsity::make(desc.topk, desc.kpool);
  p.query_source = static_cast<std::uint8_t>(desc.query_source);
  p.clamp = desc.clamp != 0 ? 1 : 0;
  p.positions_are_int64 = desc.positions_dtype == NSAMETA_INT64 ? 1 : 0;
  p.min_token_capacity = INT32_MAX;
  set_token_output(p, EXPANDED, desc.seqlens_expanded);
  set_token_output(p, SPARSE, desc.nsa_cache_seqlens);
  set_token_output(p, SPARSE_CU, desc.nsa_cu_seqlens_k);
  set_token_output(p, REQUEST, desc.token_to_batch_idx);
  set_token_output(p, POSITION, desc.positions);
  set_token_output(p, OFFSET, desc.topk_indices_offset);
  set_token_output(p, KEY_START, desc.indexer_ks);
  set_token_output(p, KEY_END, desc.indexer_ke);
  p.fault_word = fault_word;
  p.cache_seqlens = static_cast<std::int32_t*>(desc.cache_seqlens.data);
  p.cu_seqlens_k = static_cast<std::int32_t*>(desc.cu_seqlens_k.data);
  p.cu_seqlens_q = static_cast<std::int32_t*>(desc.cu_seqlens_q.data);
  p.total_tokens = static_cast<std::int32_t*>(desc.total_tokens.data);
  p.ctx_lens = static_cast<std::int32_t*>(desc.paged_mqa_ctx_lens_2d.data);
  p.ctx_lens_row_stride = desc.ctx_lens_row_stride;
  p.ctx_lens_columns = desc.ctx_lens_columns;
  return p;
}

// Whether an output needs prefix sums of key lengths.
inline bool wants_keys(const build_metadata_params& p) {
  return p.cu_seqlens_k != nullptr || p.capacity[SPARSE_CU] > 0 || p.capacity[OFFSET] > 0 ||
         p.capacity[KEY_START] > 0 || p.capacity[KEY_END] > 0;
}

// Whether seqlens_expanded and nsa_cache_seqlens are all there is to write.
inline bool is_seed_only(const build_metadata_params& p) {
  for (int k = SPARSE_CU; k < kNumTokenOutputs; ++k) {
    if (p.capacity[k] > 0) return false;
  }
  return p.tail == NSAMETA_TAIL_KEEP && p.cache_seqlens == nullptr && p.cu_seqlens_k == nullptr &&
         p.cu_seqlens_q == nullptr && p.total_tokens == nullptr && p.ctx_lens == nullptr;
}

}  // namespace nsameta::simt
