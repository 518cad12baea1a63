// Values of the per-token outputs, and how they are stored: one token, four neighbours, or a tail.
#pragma once

#include <cstdint>

#include "backends/simt/requests.h"
#include "backends/simt/slots.h"

namespace nsameta::simt {

// Sets of token outputs, one bit each.
inline constexpr unsigned kSeedOutputs = 1U << EXPANDED | 1U << SPARSE;
inline constexpr unsigned kPlainOutputs = kSeedOutputs | 1U << REQUEST | 1U << POSITION;   // need no sum of keys
inline constexpr unsigned kKeyedOutputs = 1U << OFFSET | 1U << KEY_START | 1U << KEY_END;  // need the keys before
inline constexpr unsigned kSummedOutputs = 1U << SPARSE_CU;                                // needs the dsa before
inline constexpr unsigned kAllOutputs = kPlainOutputs | kKeyedOutputs | kSummedOutputs;
inline constexpr unsigned kSlotOutputs = 1U << SLOT;  // read req_to_token

// Where the key of a token goes that sees `visible` keys, clamped or not.
NSAMETA_DEVICE std::int32_t slot_of_token(const build_metadata_params& p, std::int32_t request, std::int32_t visible) {
  return slot_at(p, find_row(p, load_pool_row(p, request)), formula::wrap_sub(visible, 1));
}

// Whether an output has an element for token t. Unsigned, so that nothing is left of an output known to be absent.
NSAMETA_DEVICE bool reaches(const build_metadata_params& p, int k, std::int32_t t) {
  return static_cast<std::uint32_t>(t) < static_cast<std::uint32_t>(p.capacity[k]);
}

NSAMETA_DEVICE bool is_int64(const build_metadata_params& p, int k) {
  return (k == POSITION && p.positions_are_int64 != 0) || (k == SLOT && p.slots_are_int64 != 0);
}

// What token t of `request` holds in each output of a set; SPARSE_CU is the sum before the token.
struct token_values {
  std::int32_t of[kNumTokenOutputs];

  template <unsigned kOutputs>
  static NSAMETA_DEVICE token_values make(const build_metadata_params& p, std::int32_t t, std::int32_t request,
                                          const request_terms& terms) {
    const bool clamp = p.clamp != 0;
    const std::int32_t x = formula::wrap_add(terms.visible_base, t);
    const std::int32_t visible = clamp ? not_negative(x) : x;
    token_values v{};
    v.of[EXPANDED] = visible;
    v.of[REQUEST] = request;
    v.of[POSITION] = formula::wrap_sub(visible, 1);
    v.of[OFFSET] = terms.keys;
    v.of[KEY_START] = terms.keys;
    v.of[KEY_END] = formula::wrap_add(terms.keys, visible);
    if constexpr ((kOutputs >> SPARSE & 1U) != 0) v.of[SPARSE] = formula::dsa(visible, p.sparsity);
    if constexpr ((kOutputs >> SPARSE_CU & 1U) != 0) {
      const std::int32_t sum = formula::dsa_sum_at(formula::wrap_sub(x, 1), clamp, p.sparsity);
      v.of[SPARSE_CU] = formula::wrap_add(terms.sparse_base, sum);
    }
    if constexpr ((kOutputs & kSlotOutputs) != 0) {
      if (reaches(p, SLOT, t)) v.of[SLOT] = slot_of_token(p, request, x);
    }
    return v;
  }
};

NSAMETA_DEVICE void store_token_output(const build_metadata_params& p, int k, std::int32_t t, std::int32_t value) {
  if (!reaches(p, k, t)) return;
  if (is_int64(p, k)) {
    reinterpret_cast<std::int64_t*>(p.token_data[k])[t] = value;
  } else {
    p.token_data[k][t] = value;
  }
}

// One token, as far as each output of the set reaches.
template <unsigned kOutputs>
NSAMETA_DEVICE void store_token(const build_metadata_params& p, std::int32_t t, const token_values& v) {
  NSAMETA_UNROLL
  for (int k = 0; k < kNumTokenOutputs; ++k) {
    if ((kOutputs >> k & 1U) != 0) store_token_output(p, k, t, v.of[k]);
  }
}

// What the outputs hold behind the last token, whose values are `last`, with SPARSE_CU the sum over all tokens, which
// stands at T itself whatever the tail. T may be near the end of its type, so positions are counted from it.
template <unsigned kOutputs>
NSAMETA_DEVICE void store_tail(const build_metadata_params& p, std::int32_t num_tokens, token_values last,
                               std::int32_t thread, std::int32_t num_threads) {
  if (num_tokens >= p.max_token_capacity) return;
  if (p.tail != NSAMETA_TAIL_LAST) {
    NSAMETA_UNROLL
    for (int k = 0; k < kNumTokenOutputs; ++k) last.of[k] = p.tail == NSAMETA_TAIL_MINUS_ONE ? -1 : 0;
  }
  constexpr unsigned kBehindTotal = kOutputs & ~kSummedOutputs;
  const auto room = static_cast<std::uint32_t>(p.max_token_capacity - num_tokens);
  NSAMETA_NO_UNROLL
  for (auto i = static_cast<std::uint32_t>(thread); i < room; i += static_cast<std::uint32_t>(num_threads)) {
    const std::int32_t t = num_tokens + static_cast<std::int32_t>(i);
    store_token<kBehindTotal>(p, t, last);
    if (i > 0) store_token<kOutputs & kSummedOutputs>(p, t, last);
  }
}

// Four neighbouring tokens from t on, t a multiple of 4, of which a thread stores those in [from, end).
template <class Rt>
struct token_quad {
  std::int32_t t;
  std::int32_t from;
  std::int32_t end;
  unsigned wide;  // outputs that get 16 bytes at once, one bit each
  std::int32_t request[4];
  request_terms terms[4];

  // Outputs that can, where all four tokens are below `end` and stored.
  template <unsigned kOutputs>
  static NSAMETA_DEVICE unsigned wide_outputs(const build_metadata_params& p, std::int32_t end) {
    unsigned wide = 0;
    NSAMETA_UNROLL
    for (int k = 0; k < kNumTokenOutputs; ++k) {
      if ((kOutputs >> k & 1U) != 0 && end <= p.capacity[k] && !is_int64(p, k)) wide |= 1U << k;
    }
    return wide & p.is_aligned;
  }

  // The large kernel's outputs may be more than the cache holds: those stored first leave it first. H200, 2026-11-27,
  // in a prototype: 65,536 requests of 256 tokens 36.8 -> 35.8 us, 16,384 requests, which fit, 8.70 and 8.72.
  NSAMETA_DEVICE void store(const build_metadata_params& p, int k, const std::int32_t (&values)[4]) const {
    if (is_wide(k)) {
      Rt::store128_streaming(p.token_data[k] + t, typename Rt::quad{values[0], values[1], values[2], values[3]});
      return;
    }
    NSAMETA_UNROLL
    for (int i = 0; i < 4; ++i) {
      if (from <= t + i && t + i < end) store_token_output(p, k, t + i, values[i]);
    }
  }

  NSAMETA_DEVICE bool is_wide(int k) const { return (wide >> k & 1U) != 0; }

  template <unsigned kOutputs>
  NSAMETA_DEVICE bool wants(const build_metadata_params& p, int k) const {
    return (kOutputs >> k & 1U) != 0 && (is_wide(k) || p.capacity[k] > t);
  }

  // Output by output, so that few values live at a time.
  template <unsigned kOutputs>
  NSAMETA_DEVICE void store_all(const build_metadata_params& p) const {
    const std::int32_t least = p.clamp != 0 ? 0 : INT32_MIN;
    std::int32_t visible[4];
    std::int32_t values[4];
    NSAMETA_UNROLL
    for (int i = 0; i < 4; ++i) visible[i] = larger(formula::wrap_add(terms[i].visible_base, t + i), least);
    if (wants<kOutputs>(p, EXPANDED)) store(p, EXPANDED, visible);
    if (wants<kOutputs>(p, SPARSE) || wants<kOutputs>(p, SPARSE_CU)) store_sparse<kOutputs>(p, visible);
    if (wants<kOutputs>(p, REQUEST)) store(p, REQUEST, request);
    if (wants<kOutputs>(p, POSITION)) {
      NSAMETA_UNROLL
      for (int i = 0; i < 4; ++i) values[i] = formula::wrap_sub(visible[i], 1);
      store(p, POSITION, values);
    }
    NSAMETA_UNROLL
    for (int i = 0; i < 4; ++i) values[i] = terms[i].keys;
    if (wants<kOutputs>(p, OFFSET)) store(p, OFFSET, values);
    if (wants<kOutputs>(p, KEY_START)) store(p, KEY_START, values);
    if (wants<kOutputs>(p, KEY_END)) {
      NSAMETA_UNROLL
      for (int i = 0; i < 4; ++i) values[i] = formula::wrap_add(values[i], visible[i]);
      store(p, KEY_END, values);
    }
    if (wants<kOutputs>(p, SLOT)) {
      NSAMETA_UNROLL
      for (int i = 0; i < 4; ++i) {
        const bool exists = from <= t + i && t + i < end;
        values[i] = exists ? slot_of_token(p, request[i], formula::wrap_add(terms[i].visible_base, t + i)) : -1;
      }
      store(p, SLOT, values);
    }
  }

 private:
  // From token to token the sum grows by what the token reads, so that only the first needs the closed form.
  template <unsigned kOutputs>
  NSAMETA_DEVICE void store_sparse(const build_metadata_params& p, const std::int32_t (&visible)[4]) const {
    const bool is_pooled = p.sparsity.kpool > 1;  // asked once, not for each token
    std::int32_t reads[4];
    NSAMETA_UNROLL
    for (int i = 0; i < 4; ++i) reads[i] = smaller(visible[i], p.sparsity.topk);
    NSAMETA_UNROLL
    for (int i = 0; is_pooled && i < 4; ++i) reads[i] = formula::dsa(visible[i], p.sparsity);
    if (wants<kOutputs>(p, SPARSE)) store(p, SPARSE, reads);
    if (!wants<kOutputs>(p, SPARSE_CU)) return;
    const std::int32_t x = formula::wrap_add(terms[0].visible_base, t - 1);
    std::int32_t sums[4] = {formula::wrap_add(terms[0].sparse_base, formula::dsa_sum_at(x, p.clamp != 0, p.sparsity))};
    NSAMETA_UNROLL
    for (int i = 1; i < 4; ++i) sums[i] = formula::wrap_add(sums[i - 1], reads[i - 1]);
    store(p, SPARSE_CU, sums);
  }
};

}  // namespace nsameta::simt
