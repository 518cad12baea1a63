// Sums over the requests before one, in a batch of up to kGroups groups of kWarp requests: each warp takes them by
// itself, a request of each group a lane.
#pragma once

#include <cstdint>

#include "backends/simt/build_metadata_policy.h"
#include "backends/simt/requests.h"
#include "backends/simt/token_outputs.h"

namespace nsameta::simt {

// Sums over requests that a set of outputs needs, modulo 2^32. For positions, q counts at most kMaxSmallQuery: what
// follows so long a request lies beyond every capacity.
template <class Rt, bool kRagged, unsigned kOutputs>
struct request_totals {
  static constexpr bool kHasKeys = (kOutputs & kKeyedOutputs) != 0;
  static constexpr bool kHasSparse = (kOutputs & kSummedOutputs) != 0;
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
};

template <class Rt, int kGroups, bool kRagged>
struct request_groups {
  using params = build_metadata_params;

  // Read first and chosen then: a load behind a condition would wait for it.
  static NSAMETA_DEVICE request_lengths load_lengths(const params& p, std::int32_t request, std::int32_t query_width,
                                                     bool exists) {
    const std::int32_t readable = not_negative(smaller(request, p.batch - 1));
    const std::int32_t kv = not_negative(load_kv(p, readable));
    const std::int32_t q = not_negative(kRagged ? load_q(p, readable) : query_width);
    return {exists ? kv : 0, exists ? q : 0};
  }

  // This lane's request of each group, nothing from `end` on; the loads of all groups are under way together.
  static NSAMETA_DEVICE void load_groups(const params& p, std::int32_t end, std::int32_t query_width,
                                         request_lengths (&lengths)[kGroups]) {
    NSAMETA_UNROLL
    for (int i = 0; i < kGroups; ++i) {
      const std::int32_t request = i * Rt::kWarp + Rt::lane();
      lengths[i] = load_lengths(p, request, query_width, request < end && request < p.batch);
    }
  }

  // Sums over the requests below `end`.
  template <unsigned kOutputs>
  static NSAMETA_DEVICE request_totals<Rt, kRagged, kOutputs> sum_below(const params& p, std::int32_t end,
                                                                        std::int32_t query_width) {
    using totals = request_totals<Rt, kRagged, kOutputs>;
    request_lengths lengths[kGroups];
    load_groups(p, end, query_width, lengths);
    auto sum = totals::of(p, lengths[0]);
    NSAMETA_UNROLL
    for (int i = 1; i < kGroups; ++i) sum = sum.plus(totals::of(p, lengths[i]));
    return sum.reduced();
  }

  // Sum of kv over the requests below `end`, exact.
  static NSAMETA_DEVICE std::int64_t keys_below(const params& p, std::int32_t end) {
    std::int32_t high = 0;
    std::int32_t low = 0;
    NSAMETA_UNROLL
    for (int i = 0; i < kGroups; ++i) {
      const std::int32_t request = i * Rt::kWarp + Rt::lane();
      const std::int32_t kv = not_negative(load_kv(p, not_negative(smaller(request, p.batch - 1))));
      high += request < end ? kv >> 16 : 0;
      low += request < end ? kv & 0xffff : 0;
    }
    return (std::int64_t{Rt::reduce_add(high)} << 16) + Rt::reduce_add(low);
  }

  // Sums of q over the requests below `end`, at their full size: modulo 2^32, and capped at INT32_MAX.
  struct query_sums {
    std::int32_t wrapped;
    std::int32_t capped;
  };

  static NSAMETA_DEVICE query_sums queries_below(const params& p, std::int32_t end) {
    query_sums sum{};
    NSAMETA_UNROLL
    for (int i = 0; i < kGroups; ++i) {
      const std::int32_t request = i * Rt::kWarp + Rt::lane();
      const std::int32_t stored = not_negative(load_q(p, not_negative(smaller(request, p.batch - 1))));
      const std::int32_t q = request < end ? stored : 0;
      sum.wrapped = formula::wrap_add(sum.wrapped, q);
      sum.capped = saturating_add(sum.capped, q);
    }
    return {Rt::reduce_add(sum.wrapped), saturating_reduce<Rt>(sum.capped)};
  }
};

}  // namespace nsameta::simt
