// The rules of the paged-MQA schedule. A request weighs its segments, and the sums of weights before the requests tell
// where each multiprocessor's share begins. Sums are 64-bit, so that no lengths make them wrap, or 32-bit where lengths
// are small.
#pragma once

#include <cstdint>

#include "backends/simt/requests.h"

namespace nsameta::simt {

// A request, and the sums before it.
template <class Sum>
struct schedule_request {
  request_lengths lengths;
  std::int32_t request;
  std::uint32_t first_token;
  Sum weight_before;
};

// The rules of nsameta_mqa_variant. Sum: an unsigned type that holds the weight of the batch, times mqa_atoms.
template <class Sum>
struct mqa_rule {
  using params = build_metadata_params;
  static constexpr std::int32_t kMaxCompared = 4;  // tokens of a query that are compared one by one

  static NSAMETA_DEVICE Sum segments(std::int32_t length) {
    return (static_cast<std::uint32_t>(not_negative(length)) + 255U) >> 8U;
  }

  // Segments of the lengths 1, 2, ..., x together: 256 of each count, then the rest.
  static NSAMETA_DEVICE Sum segments_up_to(std::int32_t x) {
    const std::uint32_t length = static_cast<std::uint32_t>(not_negative(x));
    const std::uint32_t full = length >> 8U;
    return Sum{full + 1U} * (full * 128U + (length & 255U));
  }

  // Whether a request counts once for each of its tokens.
  static NSAMETA_DEVICE bool counts_tokens(const params& p) {
    return p.mqa_variant == NSAMETA_MQA_SM100_JUN26 && p.mqa_by_token == 0;
  }

  // Segments of the tokens of a short query: `least` each, one more from token `same` on.
  struct short_query {
    Sum least;
    std::int32_t same;

    static NSAMETA_DEVICE short_query make(const request_lengths& r) {
      const std::int32_t before = formula::wrap_sub(r.kv, r.q);
      const Sum least = segments(formula::wrap_add(before, 1));
      const auto last = static_cast<std::uint32_t>(least) << 8U;  // the longest length with as many segments
      return {least, static_cast<std::int32_t>(last - static_cast<std::uint32_t>(before))};
    }

    // Segments of the first `count` tokens together.
    NSAMETA_DEVICE Sum sum(std::int32_t count) const {
      return least * static_cast<std::uint32_t>(count) + static_cast<std::uint32_t>(not_negative(count - same));
    }
  };

  // Not for no token, whose length before the first may not exist.
  static NSAMETA_DEVICE bool has_short_query(const request_lengths& r) {
    return static_cast<std::uint32_t>(r.q) - 1U < static_cast<std::uint32_t>(kMaxCompared);
  }

  static NSAMETA_DEVICE Sum weight(const params& p, const request_lengths& r) {
    if (p.mqa_by_token != 0 && has_short_query(r)) return short_query::make(r).sum(r.q);
    if (p.mqa_by_token != 0) return segments_up_to(r.kv) - segments_up_to(formula::wrap_sub(r.kv, r.q));
    const Sum segs = segments(r.kv);
    return counts_tokens(p) ? segs * static_cast<std::uint32_t>(r.q) : segs;
  }

  // Where the share of multiprocessor s begins; `all` is the weight of the batch.
  static NSAMETA_DEVICE Sum begin_of(const params& p, std::uint32_t s, Sum all) {
    const std::uint32_t num_sms = p.num_sms.divisor;
    const Sum total = all * static_cast<std::uint32_t>(p.mqa_atoms);
    Sum part = p.num_sms.divide(static_cast<std::uint32_t>(total));
    if constexpr (sizeof(Sum) > sizeof(std::uint32_t)) {
      if (total >> 32U != 0) part = total / num_sms;
    }
    const auto rest = static_cast<std::uint32_t>(total - part * num_sms);
    std::uint32_t extra = s < rest ? s : rest;
    if (p.mqa_variant == NSAMETA_MQA_SM90_JUN26) {
      const std::uint32_t pivot = num_sms - rest;
      extra = s > pivot ? s - pivot : 0;
    }
    return s * part + extra;
  }

  // The sum that the search compares with prefix sums of weights.
  static NSAMETA_DEVICE Sum target_of(const params& p, Sum begin) {
    return p.mqa_atoms == 1 ? begin : begin / static_cast<std::uint32_t>(p.mqa_atoms);
  }

  // The first token of a request whose segments reach beyond `offset`, and what is left of the offset there.
  static NSAMETA_DEVICE std::int32_t find_token(const request_lengths& r, Sum& offset) {
    if (has_short_query(r)) {
      const short_query query = short_query::make(r);
      std::int32_t token = 0;
      NSAMETA_UNROLL
      for (std::int32_t i = 1; i < kMaxCompared; ++i) token += query.sum(i) <= offset ? 1 : 0;
      offset -= query.sum(token);
      return token;
    }
    const std::int32_t before = formula::wrap_sub(r.kv, r.q);
    const Sum base = segments_up_to(before);
    std::int32_t low = 0;
    std::int32_t high = r.q - 1;
    NSAMETA_NO_UNROLL
    while (low < high) {
      const std::int32_t middle = low + ((high - low) >> 1);
      if (segments_up_to(before + 1 + middle) - base > offset) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    offset -= segments_up_to(before + low) - base;
    return low;
  }

  static NSAMETA_DEVICE void store(const params& p, std::uint32_t s, Sum first, Sum second) {
    p.schedule[2 * s] = static_cast<std::int32_t>(static_cast<std::uint32_t>(first));
    p.schedule[2 * s + 1] = static_cast<std::int32_t>(static_cast<std::uint32_t>(second));
  }

  // Row s, which begins inside `owner`.
  static NSAMETA_DEVICE void write_row(const params& p, std::uint32_t s, Sum begin,
                                       const schedule_request<Sum>& owner) {
    const auto atoms = static_cast<std::uint32_t>(p.mqa_atoms);
    Sum offset = begin - owner.weight_before * atoms;
    if (p.mqa_by_token != 0) {
      const std::int32_t j = find_token(owner.lengths, offset);
      store(p, s, owner.first_token + static_cast<std::uint32_t>(j), offset);
    } else if (counts_tokens(p)) {
      store(p, s, owner.first_token, offset / static_cast<std::uint32_t>(owner.lengths.q));
    } else if (atoms == 1) {
      store(p, s, static_cast<std::uint32_t>(owner.request), offset);
    } else {
      const Sum segs = segments(owner.lengths.kv);
      const Sum atom = offset / segs;
      store(p, s, Sum{static_cast<std::uint32_t>(owner.request)} * atoms + atom, offset - atom * segs);
    }
  }

  // Row s where nothing is left; num_tokens modulo 2^32.
  static NSAMETA_DEVICE void write_end(const params& p, std::uint32_t s, std::uint32_t num_tokens) {
    const bool ends_with_tokens = p.mqa_by_token != 0 || counts_tokens(p);
    store(p, s,
          ends_with_tokens ? num_tokens : static_cast<std::uint32_t>(p.batch) * static_cast<std::uint32_t>(p.mqa_atoms),
          0);
  }
};

template <class Rt>
NSAMETA_DEVICE std::uint32_t shfl(std::uint32_t value, int source) {
  return static_cast<std::uint32_t>(Rt::shfl(static_cast<std::int32_t>(value), source));
}

template <class Rt>
NSAMETA_DEVICE std::uint64_t shfl(std::uint64_t value, int source) {
  const std::uint64_t high = shfl<Rt>(static_cast<std::uint32_t>(value >> 32U), source);
  return (high << 32U) | shfl<Rt>(static_cast<std::uint32_t>(value), source);
}

template <class Rt>
NSAMETA_DEVICE std::uint32_t shfl_up(std::uint32_t value, int distance) {
  return static_cast<std::uint32_t>(Rt::shfl_up(static_cast<std::int32_t>(value), distance));
}

template <class Rt>
NSAMETA_DEVICE std::uint64_t shfl_up(std::uint64_t value, int distance) {
  const std::uint64_t high = shfl_up<Rt>(static_cast<std::uint32_t>(value >> 32U), distance);
  return (high << 32U) | shfl_up<Rt>(static_cast<std::uint32_t>(value), distance);
}

// Weights and tokens of requests, for sums over them.
template <class Sum>
struct schedule_sums {
  Sum weight;
  std::uint32_t tokens;

  NSAMETA_DEVICE schedule_sums plus(const schedule_sums& other) const {
    return {weight + other.weight, tokens + other.tokens};
  }

  // Sum over the lanes up to this one.
  template <class Rt, bool kRagged>
  NSAMETA_DEVICE schedule_sums scanned() const {
    schedule_sums sum = *this;
    NSAMETA_UNROLL
    for (int distance = 1; distance < Rt::kWarp; distance *= 2) {
      schedule_sums below{shfl_up<Rt>(sum.weight, distance), 0};
      if constexpr (kRagged) below.tokens = shfl_up<Rt>(sum.tokens, distance);
      if (Rt::lane() >= distance) sum = sum.plus(below);
    }
    return sum;
  }
};

template <bool kRagged>
NSAMETA_DEVICE request_lengths load_schedule_lengths(const build_metadata_params& p, std::int32_t request,
                                                     std::int32_t query_width) {
  return {not_negative(load_kv(p, request)), not_negative(kRagged ? load_q(p, request) : query_width)};
}

}  // namespace nsameta::simt
