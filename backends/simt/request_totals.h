// What a set of outputs needs summed up over requests, in small launches and steps.
#pragma once

#include <cstdint>

#include "backends/simt/build_metadata_policy.h"
#include "backends/simt/requests.h"
#include "backends/simt/token_outputs.h"

namespace nsameta::simt {

// Read first and chosen then: a load behind a condition would wait for it.
template <bool kRagged>
NSAMETA_DEVICE request_lengths load_lengths_if(const build_metadata_params& p, std::int32_t request,
                                               std::int32_t query_width, bool exists) {
  const std::int32_t readable = not_negative(smaller(request, p.batch - 1));
  const std::int32_t kv = not_negative(load_kv(p, readable));
  const std::int32_t q = not_negative(kRagged ? load_q(p, readable) : query_width);
  return {exists ? kv : 0, exists ? q : 0};
}

// Sums over requests that a set of outputs needs, modulo 2^32. For positions, q counts at most kMaxSmallQuery: what
// follows so long a request lies beyond every capacity.
template <class Rt, bool kRagged, unsigned kOutputs>
struct request_totals {
  static constexpr bool kHasKeys = (kOutputs & kKeyedOutputs) != 0;
  static constexpr bool kHasSparse = (kOutputs & kSummedOutputs) != 0;
  static constexpr bool kHasAny = kRagged || kHasKeys || kHasSparse;
  using totals = request_totals;
  std::int32_t tokens;
  std::int32_t keys;
  std::int32_t sparse_keys;

  static NSAMETA_DEVICE totals of(const build_metadata_params& p, const request_lengths& lengths) {
    return {kRagged ? smaller(lengths.q, kMaxSmallQuery) : 0, kHasKeys ? lengths.kv : 0,
            kHasSparse ? sparse_keys_of(p, lengths) : 0};
  }

  NSAMETA_DEVICE totals plus(const totals& other) const {
    return {kRagged ? formula::wrap_add(tokens, other.tokens) : 0, kHasKeys ? formula::wrap_add(keys, other.keys) : 0,
            kHasSparse ? formula::wrap_add(sparse_keys, other.sparse_keys) : 0};
  }

  NSAMETA_DEVICE totals minus(const totals& other) const {
    return {kRagged ? formula::wrap_sub(tokens, other.tokens) : 0, kHasKeys ? formula::wrap_sub(keys, other.keys) : 0,
            kHasSparse ? formula::wrap_sub(sparse_keys, other.sparse_keys) : 0};
  }

  // Sum over the lanes.
  NSAMETA_DEVICE totals reduced() const {
    return {kRagged ? Rt::reduce_add(tokens) : 0, kHasKeys ? Rt::reduce_add(keys) : 0,
            kHasSparse ? Rt::reduce_add(sparse_keys) : 0};
  }

  // Sum over the lanes up to this one.
  NSAMETA_DEVICE totals scanned() const {
    totals sum = *this;
    NSAMETA_UNROLL
    for (int distance = 1; distance < Rt::kWarp; distance *= 2) {
      totals below{kRagged ? Rt::shfl_up(sum.tokens, distance) : 0, kHasKeys ? Rt::shfl_up(sum.keys, distance) : 0,
                   kHasSparse ? Rt::shfl_up(sum.sparse_keys, distance) : 0};
      if (Rt::lane() < distance) below = {};
      sum = sum.plus(below);
    }
    return sum;
  }

  // Of a sum over lanes up to each: over all of them.
  NSAMETA_DEVICE totals of_last_lane() const {
    constexpr int kLast = Rt::kWarp - 1;
    return {kRagged ? Rt::shfl(tokens, kLast) : 0, kHasKeys ? Rt::shfl(keys, kLast) : 0,
            kHasSparse ? Rt::shfl(sparse_keys, kLast) : 0};
  }
};

}  // namespace nsameta::simt
