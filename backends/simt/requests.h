// Lengths of requests as the device reads them, and what the outputs derive from them.
#pragma once

#include <cstdint>

#include "backends/simt/arithmetic.h"
#include "backends/simt/build_metadata_params.h"
#include "core/fault.h"
#include "core/formula.h"

namespace nsameta::simt {

// Lengths of one request; negative ones count as 0.
struct request_lengths {
  std::int32_t kv;
  std::int32_t q;
};

// request_idx -1: not tied to one.
template <class Rt>
NSAMETA_DEVICE void report_fault(const build_metadata_params& p, nsameta_check check, std::int32_t request_idx,
                                 std::int64_t value) {
  Rt::report(p.fault_word, fault_word(check, request_idx, value));
}

NSAMETA_DEVICE std::int32_t load_length(const strided_lengths& from, std::int32_t request) {
  return *reinterpret_cast<const std::int32_t*>(from.data + std::int64_t{request} * from.stride_bytes);
}

// As stored, negative or not.
NSAMETA_DEVICE std::int32_t load_kv(const build_metadata_params& p, std::int32_t request) {
  return formula::wrap_add(load_length(p.seq_lens, request), p.kv_offset);
}

NSAMETA_DEVICE std::int32_t load_q(const build_metadata_params& p, std::int32_t request) {
  return load_length(p.query_lens, request);
}

// Query width of a launch that has one for all requests, as stored; 0 for a ragged one.
template <bool kRagged>
NSAMETA_DEVICE std::int32_t load_query_width(const build_metadata_params& p) {
  if constexpr (kRagged) return 0;
  if (p.query_source == NSAMETA_QUERY_CONSTANT) return p.query_width;
  return p.batch > 0 ? load_q(p, 0) : 0;
}

// T of a launch with one query width, capped at INT32_MAX.
NSAMETA_DEVICE std::int32_t constant_total(const build_metadata_params& p, std::int32_t query_width) {
  return formula::saturate(std::int64_t{p.batch} * query_width);
}

// Tells the host of negative lengths; kv and q as stored. One thread of the launch calls it for a request.
template <class Rt>
NSAMETA_DEVICE void report_lengths(const build_metadata_params& p, std::int32_t request, std::int32_t kv,
                                   std::int32_t q) {
  if (kv < 0) report_fault<Rt>(p, NSAMETA_CHECK_NEGATIVE_KV, request, kv);
  if (q < 0) report_fault<Rt>(p, NSAMETA_CHECK_NEGATIVE_QUERY, request, q);
}

// Sum of dsa over the tokens of a request.
NSAMETA_DEVICE std::int32_t sparse_keys_of(const build_metadata_params& p, const request_lengths& lengths) {
  const bool clamp = p.clamp != 0;
  const std::int32_t before = formula::wrap_sub(lengths.kv, lengths.q);
  return formula::wrap_sub(formula::dsa_sum_at(lengths.kv, clamp, p.sparsity),
                           formula::dsa_sum_at(before, clamp, p.sparsity));
}

// What of a request its tokens need, in a form that leaves one addition for each value:
//   visible(t) = visible_base + t;  nsa_cu_seqlens_k[t] = sparse_base + S(visible(t) - 1).
struct request_terms {
  std::int32_t visible_base;
  std::int32_t keys;  // cu_seqlens_k[r]
  std::int32_t sparse_base;
};

// start: the request's first token; keys, sparse_keys: the sums over the requests before it.
NSAMETA_DEVICE request_terms make_terms(const build_metadata_params& p, const request_lengths& lengths,
                                        std::int32_t start, std::int32_t keys, std::int32_t sparse_keys) {
  const std::int32_t before = formula::wrap_sub(lengths.kv, lengths.q);
  return {formula::wrap_sub(formula::wrap_add(before, 1), start), keys,
          formula::wrap_sub(sparse_keys, formula::dsa_sum_at(before, p.clamp != 0, p.sparsity))};
}

// T and what is wrong with it; called by one thread of the launch.
template <class Rt>
NSAMETA_DEVICE void write_total_tokens(const build_metadata_params& p, std::int32_t num_tokens) {
  if (p.total_tokens != nullptr) p.total_tokens[0] = num_tokens;
  if (num_tokens > p.min_token_capacity) {
    report_fault<Rt>(p, NSAMETA_CHECK_TOKENS_OVER_CAPACITY, -1, num_tokens);
  }
}

}  // namespace nsameta::simt
