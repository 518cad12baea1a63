// Small arithmetic of the kernels.
#pragma once

#include <cstdint>

#include "backends/simt/build_metadata_params.h"

namespace nsameta::simt {

NSAMETA_DEVICE std::int32_t not_negative(std::int32_t x) { return x < 0 ? 0 : x; }

NSAMETA_DEVICE std::int32_t larger(std::int32_t a, std::int32_t b) { return a > b ? a : b; }

NSAMETA_DEVICE std::int32_t smaller(std::int32_t a, std::int32_t b) { return a < b ? a : b; }

// Sum of two values in [0, INT32_MAX], capped there. Associative, so that it may be scanned.
NSAMETA_DEVICE std::int32_t saturating_add(std::int32_t a, std::int32_t b) {
  const std::uint32_t sum = static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b);
  return static_cast<std::int32_t>(sum < 0x7fffffffU ? sum : 0x7fffffffU);
}

// saturating_add over the lanes: the halves are summed apart, so that the sum is exact before it is capped.
template <class Rt>
NSAMETA_DEVICE std::int32_t saturating_reduce(std::int32_t value) {
  const std::int32_t high = Rt::reduce_add(value >> 16);
  const std::int32_t low = Rt::reduce_add(value & 0xffff);
  return formula::saturate((std::int64_t{high} << 16) + low);
}

// saturating_add over the lanes up to this one.
template <class Rt>
NSAMETA_DEVICE std::int32_t saturating_scan(std::int32_t value) {
  NSAMETA_UNROLL
  for (int distance = 1; distance < Rt::kWarp; distance *= 2) {
    const std::int32_t below = Rt::shfl_up(value, distance);
    if (Rt::lane() >= distance) value = saturating_add(below, value);
  }
  return value;
}

// Modulo 2^32.
NSAMETA_DEVICE std::int32_t wrapped_product(std::int32_t a, std::int32_t b) {
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) * static_cast<std::uint32_t>(b));
}

// Division of token numbers by a query width, which may be 0 when there are no tokens.
NSAMETA_DEVICE formula::divider divide_by(std::int32_t width) {
  return formula::divider::make(width > 0 ? static_cast<std::uint32_t>(width) : 1U);
}

NSAMETA_DEVICE std::int32_t divide(std::int32_t x, const formula::divider& by) {
  return static_cast<std::int32_t>(by.divide(static_cast<std::uint32_t>(x)));
}

}  // namespace nsameta::simt
