// Prefix sums over requests. Every lane of the warp calls.
#pragma once

#include <cstdint>

#include "backends/simt/arithmetic.h"
#include "backends/simt/requests.h"
#include "core/formula.h"

namespace nsameta::simt {

// The sums that the builder carries from request to request.
struct prefix {
  std::int32_t tokens;          // of q, capped at INT32_MAX: whose token is t?
  std::int32_t tokens_wrapped;  // of q modulo 2^32: cu_seqlens_q
  std::int32_t keys;            // of kv modulo 2^32
  std::int32_t sparse_keys;     // of dsa over the requests' tokens modulo 2^32
  std::int32_t keys_high;       // of kv: the bits above `keys`, for places in the flattened table
};

// Sets of them, one bit each. Sums that a launch does not need stay 0 and cost nothing.
inline constexpr unsigned kTokenSum = 1U;
inline constexpr unsigned kWrappedTokenSum = 2U;
inline constexpr unsigned kKeySums = 4U;  // keys and sparse_keys
inline constexpr unsigned kHighKeySum = 8U;

NSAMETA_DEVICE std::int64_t exact_keys(const prefix& sum) {
  return (std::int64_t{sum.keys_high} << 32) + static_cast<std::uint32_t>(sum.keys);
}

template <unsigned kSums>
struct prefix_sum {
  static constexpr bool kHasTokens = (kSums & kTokenSum) != 0;
  static constexpr bool kHasWrapped = (kSums & kWrappedTokenSum) != 0;
  static constexpr bool kHasKeys = (kSums & kKeySums) != 0;
  static constexpr bool kHasHighKeys = (kSums & kHighKeySum) != 0;

  // What one request adds.
  static NSAMETA_DEVICE prefix summand(const build_metadata_params& p, const request_lengths& lengths) {
    prefix value{};
    if constexpr (kHasTokens) value.tokens = lengths.q;
    if constexpr (kHasWrapped) value.tokens_wrapped = lengths.q;
    if constexpr (kHasKeys) {
      value.keys = lengths.kv;
      value.sparse_keys = sparse_keys_of(p, lengths);
    }
    return value;
  }

  static NSAMETA_DEVICE prefix add(const prefix& a, const prefix& b) {
    prefix sum{};
    if constexpr (kHasTokens) sum.tokens = saturating_add(a.tokens, b.tokens);
    if constexpr (kHasWrapped) sum.tokens_wrapped = formula::wrap_add(a.tokens_wrapped, b.tokens_wrapped);
    if constexpr (kHasKeys) {
      sum.keys = formula::wrap_add(a.keys, b.keys);
      sum.sparse_keys = formula::wrap_add(a.sparse_keys, b.sparse_keys);
    }
    if constexpr (kHasHighKeys) {
      const bool carries = static_cast<std::uint32_t>(sum.keys) < static_cast<std::uint32_t>(a.keys);
      sum.keys_high = a.keys_high + b.keys_high + (carries ? 1 : 0);
    }
    return sum;
  }

  // The shuffles of a step are independent, so their latencies overlap.
  template <class Shuffle>
  static NSAMETA_DEVICE prefix shuffle(const prefix& value, Shuffle shuffle_one) {
    prefix moved{};
    if constexpr (kHasTokens) moved.tokens = shuffle_one(value.tokens);
    if constexpr (kHasWrapped) moved.tokens_wrapped = shuffle_one(value.tokens_wrapped);
    if constexpr (kHasKeys) {
      moved.keys = shuffle_one(value.keys);
      moved.sparse_keys = shuffle_one(value.sparse_keys);
    }
    if constexpr (kHasHighKeys) moved.keys_high = shuffle_one(value.keys_high);
    return moved;
  }

  // Sum over the lanes.
  template <class Rt>
  static NSAMETA_DEVICE prefix reduce(const prefix& value) {
    prefix sum{};
    if constexpr (kHasTokens) sum.tokens = saturating_reduce<Rt>(value.tokens);
    if constexpr (kHasWrapped) sum.tokens_wrapped = Rt::reduce_add(value.tokens_wrapped);
    if constexpr (kHasKeys) {
      sum.keys = Rt::reduce_add(value.keys);
      sum.sparse_keys = Rt::reduce_add(value.sparse_keys);
    }
    if constexpr (kHasHighKeys) {
      const auto keys = static_cast<std::uint32_t>(value.keys);
      const std::int64_t low = Rt::reduce_add(static_cast<std::int32_t>(keys & 0xffffU));
      const std::int64_t middle = Rt::reduce_add(static_cast<std::int32_t>(keys >> 16U));
      sum.keys_high = static_cast<std::int32_t>(((middle << 16) + low) >> 32) + Rt::reduce_add(value.keys_high);
    }
    return sum;
  }

  // On return `value` is the sum over the lanes below, `base` included; returns the sum over all.
  template <class Rt>
  static NSAMETA_DEVICE prefix exclusive_scan(const prefix& base, prefix& value) {
    prefix inclusive = value;
    NSAMETA_UNROLL
    for (int distance = 1; distance < Rt::kWarp; distance *= 2) {
      const prefix below = shuffle(inclusive, [distance](std::int32_t x) { return Rt::shfl_up(x, distance); });
      if (Rt::lane() >= distance) inclusive = add(below, inclusive);
    }
    const prefix all = shuffle(inclusive, [](std::int32_t x) { return Rt::shfl(x, Rt::kWarp - 1); });
    const prefix below = shuffle(inclusive, [](std::int32_t x) { return Rt::shfl_up(x, 1); });
    value = Rt::lane() == 0 ? base : add(base, below);
    return add(base, all);
  }

  // Many of them in shared memory, each kind by itself, so that neighbouring lanes read neighbouring words.
  template <int kCount>
  struct array {
    alignas(16) std::int32_t tokens[kHasTokens ? kCount : 1];
    std::int32_t tokens_wrapped[kHasWrapped ? kCount : 1];
    std::int32_t keys[kHasKeys ? kCount : 1];
    std::int32_t sparse_keys[kHasKeys ? kCount : 1];
    std::int32_t keys_high[kHasHighKeys ? kCount : 1];

    // store(cell, value)
    template <class Store>
    NSAMETA_DEVICE void set(int i, const prefix& value, Store store) {
      if constexpr (kHasTokens) store(&tokens[i], value.tokens);
      if constexpr (kHasWrapped) store(&tokens_wrapped[i], value.tokens_wrapped);
      if constexpr (kHasKeys) {
        store(&keys[i], value.keys);
        store(&sparse_keys[i], value.sparse_keys);
      }
      if constexpr (kHasHighKeys) store(&keys_high[i], value.keys_high);
    }

    NSAMETA_DEVICE void set(int i, const prefix& value) {
      set(i, value, [](std::int32_t* cell, std::int32_t x) { *cell = x; });
    }

    NSAMETA_DEVICE prefix get(int i) const {
      prefix value{};
      if constexpr (kHasTokens) value.tokens = tokens[i];
      if constexpr (kHasWrapped) value.tokens_wrapped = tokens_wrapped[i];
      if constexpr (kHasKeys) {
        value.keys = keys[i];
        value.sparse_keys = sparse_keys[i];
      }
      if constexpr (kHasHighKeys) value.keys_high = keys_high[i];
      return value;
    }
  };
};

}  // namespace nsameta::simt
