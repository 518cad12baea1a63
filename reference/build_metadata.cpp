#include "reference/build_metadata.h"

#include <algorithm>

#include "reference/parts.h"

namespace nsameta::reference {
namespace {

int32_t clamped(int64_t value) { return static_cast<int32_t>(std::clamp<int64_t>(value, INT32_MIN, INT32_MAX)); }

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

void report(nsameta_check check, int64_t request_idx, int64_t value, metadata* out) {
  out->faults.push_back({check, static_cast<int32_t>(request_idx), clamped(value)});
}

// How many of the requests exist.
size_t true_batch(const metadata_inputs& in, metadata* out) {
  const auto batch = static_cast<int64_t>(in.seq_lens.size());
  if (in.num_requests == -1 && !in.has_num_requests) return in.seq_lens.size();
  if (in.num_requests < 0 || in.num_requests > batch) report(NSAMETA_CHECK_NUM_REQUESTS, -1, in.num_requests, out);
  return static_cast<size_t>(std::clamp<int64_t>(in.num_requests, 0, batch));
}

request read_request(const metadata_inputs& in, size_t r, metadata* out) {
  request result{key_length(in, r), query_length(in, r), -1};
  const auto idx = static_cast<int64_t>(r);
  if (result.kv < 0) {
    report(NSAMETA_CHECK_NEGATIVE_KV, idx, result.kv, out);
    result.kv = 0;
  }
  if (result.q < 0) {
    report(NSAMETA_CHECK_NEGATIVE_QUERY, idx, result.q, out);
    result.q = 0;
  }
  if (!in.has_slots) return result;
  result.pool_row = in.req_pool_indices[r];
  if (result.pool_row < 0 || result.pool_row >= in.pool_rows) {
    report(NSAMETA_CHECK_POOL_ROW, idx, result.pool_row, out);
  }
  if (result.kv > in.max_context) report(NSAMETA_CHECK_KV_OVER_CONTEXT, idx, result.kv, out);
  return result;
}

void clear(metadata* out) {
  for (auto* values :
       {&out->seqlens_expanded, &out->nsa_cache_seqlens, &out->nsa_cu_seqlens_k, &out->cache_seqlens,
        &out->cu_seqlens_k, &out->cu_seqlens_q, &out->token_to_batch_idx, &out->positions, &out->topk_indices_offset,
        &out->indexer_ks, &out->indexer_ke, &out->paged_mqa_ctx_lens_2d, &out->out_slots}) {
    values->clear();
  }
  out->total_tokens = 0;
  out->total_keys = 0;
  out->faults.clear();
}

}  // namespace

int64_t dsa(int64_t visible, int64_t topk, int64_t kpool) {
  if (kpool <= 1) return std::min(visible, topk);
  const int64_t full_pools = floor_div(visible, kpool) * kpool;
  return std::min(full_pools, topk) + (visible - full_pools);
}

int64_t visible_of(const metadata_inputs& in, const request& r, int64_t j) {
  const int64_t visible = r.kv - r.q + 1 + j;
  return in.clamp ? std::max<int64_t>(visible, 0) : visible;
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
  const size_t batch = true_batch(in, out);
  std::vector<request> requests;
  for (size_t r = 0; r < batch; ++r) {
    requests.push_back(read_request(in, r, out));
    const int64_t kv = requests.back().kv;
    const int64_t q = requests.back().q;
    const int64_t first_key = sum_kv;
    for (int64_t j = 0; j < q && token + j < in.max_tokens; ++j) {
      const int64_t visible = visible_of(in, requests.back(), j);
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
      if (in.has_out_slots) out->out_slots.push_back(slot_of(in, requests.back(), kv - q + j));
    }
    token += q;
    sum_kv += kv;
    out->cache_seqlens.push_back(cut(kv));
    out->cu_seqlens_k.push_back(cut(sum_kv));
    out->cu_seqlens_q.push_back(cut(token));
    for (int c = 0; c < in.ctx_lens_columns; ++c) out->paged_mqa_ctx_lens_2d.push_back(cut(kv));
  }
  out->total_tokens = token;
  out->total_keys = sum_kv;
  add_tables(in, requests, out);
  add_schedule(in, requests, out);
  add_topk_plan(in, requests, out);
}

}  // namespace nsameta::reference
