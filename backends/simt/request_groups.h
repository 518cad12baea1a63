// Sums over the requests before one, in a batch of up to kGroups groups of kWarp requests: each warp takes them by
// itself, a request of each group a lane.
#pragma once

#include <cstdint>

#include "backends/simt/request_totals.h"

namespace nsameta::simt {

template <class Rt, int kGroups, bool kRagged>
struct request_groups {
  using params = build_metadata_params;

  // This lane's request of each group, nothing from `end` on; the loads of all groups are under way together.
  static NSAMETA_DEVICE void load_groups(const params& p, std::int32_t end, std::int32_t query_width,
                                         request_lengths (&lengths)[kGroups]) {
    NSAMETA_UNROLL
    for (int i = 0; i < kGroups; ++i) {
      const std::int32_t request = i * Rt::kWarp + Rt::lane();
      lengths[i] = load_lengths_if<kRagged>(p, request, query_width, request < end && request < p.batch);
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
