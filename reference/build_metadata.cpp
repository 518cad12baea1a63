#include "reference/build_metadata.h"

#include <algorithm>

namespace nsameta::reference {
namespace {

// Sums are exact; what is stored are their low 32 bits.
int32_t cut(int64_t value) { return static_cast<int32_t>(static_cast<uint32_t>(static_cast<uint64_t>(value))); }

int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

int32_t key_length(const metadata_inputs& in, size_t r) {
  const int64_t offset = in.mode == NSAMETA_MODE_TARGET_VERIFY ? in.tokens_per_request : 0;
  return cut(cut(in.seq_lens[r]) + offset);
}

int32_t query_length(const metadata_inputs& in, size_t r) {
  if (in.mode == NSAMETA_MODE_DECODE) return 1;
  if (in.tokens_per_request > 0) return in.tokens_per_request;
  return cut(in.extend_seq_lens[in.static_width ? 0 : r]);
}

int64_t at_least_zero(int32_t length, nsameta_check check, size_t r, metadata* out) {
  if (length >= 0) return length;
  out->faults.push_back({check, static_cast<int32_t>(r), length});
  return 0;
}

void clear(metadata* out) {
  for (auto* values : {&out->seqlens_expanded, &out->nsa_cache_seqlens, &out->nsa_cu_seqlens_k, &out->cache_seqlens,
                       &out->cu_seqlens_k, &out->cu_seqlens_q, &out->token_to_batch_idx, &out->positions,
                       &out->topk_indices_offset, &out->indexer_ks, &out->indexer_ke, &out->paged_mqa_ctx_lens_2d}) {
    values->clear();
  }
  out->total_tokens = 0;
  out->faults.clear();
}

}  // namespace

int64_t dsa(int64_t visible, int64_t topk, int64_t kpool) {
  if (kpool <= 1) return std::min(visible, topk);
  const int64_t full_pools = floor_div(visible, kpool) * kpool;
  return std::min(full_pools, topk) + (visible - full_pools);
}

metadata build_metadata(const metadata_inputs& inputs) {
  metadata result;
  build_metadata(inputs, &result);
  return result;
}

void build_metadata(const metadata_inputs& in, metadata* out) {
  clear(out);
  int64_t sum_kv = 0;
  int64_t sum_dsa = 0;
  int64_t token = 0;
  out->nsa_cu_seqlens_k.push_back(0);
  out->cu_seqlens_k.push_back(0);
  out->cu_seqlens_q.push_back(0);
  for (size_t r = 0; r < in.seq_lens.size(); ++r) {
    const int64_t kv = at_least_zero(key_length(in, r), NSAMETA_CHECK_NEGATIVE_KV, r, out);
    const int64_t q = at_least_zero(query_length(in, r), NSAMETA_CHECK_NEGATIVE_QUERY, r, out);
    const int64_t first_key = sum_kv;
    for (int64_t j = 0; j < q && token + j < in.max_tokens; ++j) {
      int64_t visible = kv - q + 1 + j;
      if (in.clamp) visible = std::max<int64_t>(visible, 0);
      const int64_t kept = dsa(visible, in.topk, in.kpool);
      sum_dsa += kept;
      out->seqlens_expanded.push_back(cut(visible));
      out->nsa_cache_seqlens.push_back(cut(kept));
      out->nsa_cu_seqlens_k.push_back(cut(sum_dsa));
      out->token_to_batch_idx.push_back(cut(static_cast<int64_t>(r)));
      out->positions.push_back(cut(visible - 1));
      out->topk_indices_offset.push_back(cut(first_key));
      out->indexer_ks.push_back(cut(first_key));
      out->indexer_ke.push_back(cut(first_key + visible));
    }
    token += q;
    sum_kv += kv;
    out->cache_seqlens.push_back(cut(kv));
    out->cu_seqlens_k.push_back(cut(sum_kv));
    out->cu_seqlens_q.push_back(cut(token));
    for (int c = 0; c < in.ctx_lens_columns; ++c) out->paged_mqa_ctx_lens_2d.push_back(cut(kv));
  }
  out->total_tokens = token;
}

}  // namespace nsameta::reference
