// The integer formulas of the metadata, shared by host and device so that every backend computes the same bits.
// Sums wrap like int32: they are computed in unsigned or 64-bit arithmetic and truncated.
#pragma once

#include <cstdint>

#if defined(__CUDACC__) || defined(__HIPCC__) || defined(__HIP__)
#define NSAMETA_HD __host__ __device__
#else
// Always inlined: backends/cpu/loops compiles it for several instruction sets, and no copy of one may serve another.
#define NSAMETA_HD [[gnu::always_inline]]
#endif

namespace nsameta::formula {

NSAMETA_HD constexpr std::int32_t wrap_add(std::int32_t a, std::int32_t b) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b));
}

NSAMETA_HD constexpr std::int32_t wrap_sub(std::int32_t a, std::int32_t b) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) - static_cast<std::uint32_t>(b));
}

// Capped at INT32_MAX, for counts that must not wrap.
NSAMETA_HD constexpr std::int32_t saturate(std::int64_t x) {
  return x < INT32_MAX ? static_cast<std::int32_t>(x) : INT32_MAX;
}

// x(x+1)/2 modulo 2^32, also for negative x.
NSAMETA_HD constexpr std::uint32_t triangle(std::int32_t x) {
  return static_cast<std::uint32_t>((static_cast<std::int64_t>(x) * x + x) >> 1);
}

// Division of x in [0, 2^32) by a divisor that is known once per launch: exact, and a multiplication.
struct divider {
  std::uint32_t divisor;
  std::uint32_t magic;

  NSAMETA_HD static constexpr divider make(std::uint32_t divisor) { return {divisor, 0xffffffffU / divisor}; }

  NSAMETA_HD constexpr std::uint32_t divide(std::uint32_t x) const {
    const auto quotient = static_cast<std::uint32_t>((static_cast<std::uint64_t>(x) * magic) >> 32U);
    return x - quotient * divisor >= divisor ? quotient + 1 : quotient;  // the estimate is one short at most
  }
};

// How many of x visible keys the sparse kernel reads: dsa(x) in nsameta.h.
struct sparsity {
  std::int32_t topk;
  std::int32_t kpool;
  std::int32_t linear_last;  // dsa(x) == x up to here
  divider pools;

  NSAMETA_HD static constexpr sparsity make(std::int32_t topk, std::int32_t kpool) {
    const std::int64_t end = kpool <= 1 ? topk : (std::int64_t{topk} / kpool + 1) * kpool - 1;
    const std::int32_t last = saturate(end);
    return {topk, kpool, last, divider::make(static_cast<std::uint32_t>(kpool))};
  }
};

// dsa(x). Identity for negative x.
NSAMETA_HD constexpr std::int32_t dsa(std::int32_t x, const sparsity& s) {
  if (x <= s.linear_last) return x;
  if (s.kpool == 1) return s.topk;
  const auto u = static_cast<std::uint32_t>(x);
  return wrap_add(s.topk, static_cast<std::int32_t>(u - s.pools.divide(u) * s.pools.divisor));
}

// S(x) = dsa(1) + ... + dsa(x), so that the sum over (a, b] is S(b) - S(a), also for negative a and b. Up to
// linear_last a triangle; from there topk a step, and with pools the place in the pool, which starts again at 0.
NSAMETA_HD constexpr std::int32_t dsa_sum(std::int32_t x, const sparsity& s) {
  const std::int32_t linear = x < s.linear_last ? x : s.linear_last;
  const std::uint32_t rest = static_cast<std::uint32_t>(x) - static_cast<std::uint32_t>(linear);
  std::uint32_t sum = triangle(linear) + rest * static_cast<std::uint32_t>(s.topk);
  if (s.kpool > 1) {
    const std::uint32_t full = s.pools.divide(rest);
    const std::uint32_t part = rest - full * s.pools.divisor;
    sum += full * triangle(s.kpool - 1);
    sum += triangle(static_cast<std::int32_t>(part) - 1);
  }
  return static_cast<std::int32_t>(sum);
}

// Visible length of token j; `clamp` keeps padded rows (kv < q) at 0.
NSAMETA_HD constexpr std::int32_t visible(std::int32_t kv, std::int32_t q, std::int32_t j, bool clamp) {
  const std::int32_t x = wrap_add(wrap_sub(kv, q), wrap_add(j, 1));
  return clamp && x < 0 ? 0 : x;
}

// S at the point `x` of a request's ramp: with clamp the terms up to 0 are zeros.
NSAMETA_HD constexpr std::int32_t dsa_sum_at(std::int32_t x, bool clamp, const sparsity& s) {
  return clamp && x < 0 ? 0 : dsa_sum(x, s);
}

// Where there are no pools, dsa(a + 1) + ... + dsa(b) is (b - a) * topk less what is missing to topk in each term,
// which is half of this: an even number. For -kMaxPlainSum <= a <= b and topk up to kMaxPlainSum.
inline constexpr std::int32_t kMaxPlainSum = 1 << 29;
NSAMETA_HD constexpr std::int64_t twice_missing_to_topk(std::int32_t a, std::int32_t b, std::int32_t topk) {
  const std::int32_t most = wrap_sub(topk, a) > 0 ? wrap_sub(topk, a) : 0;
  const std::int32_t least = wrap_sub(topk, b) > 0 ? wrap_sub(topk, b) : 0;
  return static_cast<std::int64_t>(wrap_sub(most, least)) * wrap_sub(wrap_add(most, least), 1);
}

// Segments of 256 keys that a length of the paged-MQA schedule has.
NSAMETA_HD constexpr std::int64_t segments(std::int32_t length) {
  return length > 0 ? (std::int64_t{length} + 255) >> 8 : 0;
}

// segments(1) + ... + segments(x), so that the sum over (a, b] is segment_sum(b) - segment_sum(a), also for negative
// ones, which have no segments.
NSAMETA_HD constexpr std::int64_t segment_sum(std::int32_t x) {
  if (x <= 0) return 0;
  const std::int64_t full = x >> 8;
  return 128 * full * (full + 1) + (x & 255) * (full + 1);
}

static_assert(dsa(5, sparsity::make(8, 1)) == 5 && dsa(9, sparsity::make(8, 1)) == 8);
static_assert(dsa(-3, sparsity::make(8, 1)) == -3 && dsa(-3, sparsity::make(8, 4)) == -3);
static_assert(dsa(11, sparsity::make(8, 4)) == 11 && dsa(12, sparsity::make(8, 4)) == 8);  // f = 8, then f = 12
static_assert(dsa(15, sparsity::make(8, 4)) == 11 && dsa(7, sparsity::make(6, 4)) == 7);
static_assert(dsa(9, sparsity::make(6, 4)) == 7);  // f = 8: min(8, 6) + 1
static_assert(dsa_sum(3, sparsity::make(8, 1)) == 6 && dsa_sum(10, sparsity::make(8, 1)) == 36 + 16);
static_assert(dsa_sum(-1, sparsity::make(8, 1)) == 0 && dsa_sum(-3, sparsity::make(8, 1)) == 3);  // -(−1 − 2)
static_assert(dsa_sum(13, sparsity::make(8, 4)) == 66 + 8 + 9 && dsa_sum(12, sparsity::make(8, 4)) == 66 + 8);
static_assert(16 * 8 - twice_missing_to_topk(-3, 13, 8) / 2 ==
              dsa_sum(13, sparsity::make(8, 1)) - dsa_sum(-3, sparsity::make(8, 1)));
static_assert(twice_missing_to_topk(9, 13, 8) == 0 && twice_missing_to_topk(3, 5, 8) == 2 * (4 + 3));
static_assert(divider::make(3).divide(0xffffffffU) == 0x55555555U && divider::make(1).divide(7) == 7);
static_assert(divider::make(7).divide(48) == 6 && divider::make(7).divide(49) == 7);
static_assert(visible(10, 3, 0, false) == 8 && visible(0, 4, 0, false) == -3 && visible(0, 4, 0, true) == 0);
static_assert(segments(-5) == 0 && segments(0) == 0 && segments(1) == 1 && segments(256) == 1 && segments(257) == 2);
static_assert(segments(INT32_MAX) == 1 << 23);
static_assert(segment_sum(-1) == 0 && segment_sum(3) == 3 && segment_sum(256) == 256 && segment_sum(258) == 260);
static_assert(segment_sum(1000) == 256 * (1 + 2 + 3) + 232 * 4);

}  // namespace nsameta::formula
