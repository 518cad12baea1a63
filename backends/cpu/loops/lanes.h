// Vectors of integers, as wide as the instruction set that this is compiled for.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace nsameta::cpu {
namespace {

#if defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

template <int kNum>
struct vectors {
  typedef uint32_t u32 __attribute__((vector_size(4 * kNum)));  // g++ ignores the attribute of a dependent alias
  typedef int32_t i32 __attribute__((vector_size(4 * kNum)));
  typedef int64_t i64 __attribute__((vector_size(8 * kNum)));
};
template <int kNum>
using lanes_u32 = typename vectors<kNum>::u32;
template <int kNum>
using lanes_i32 = typename vectors<kNum>::i32;
template <int kNum>
using lanes_i64 = typename vectors<kNum>::i64;

template <int kNum>
[[gnu::always_inline]] inline lanes_u32<kNum> iota() {
  if constexpr (kNum == 4) {
    return lanes_u32<kNum>{0, 1, 2, 3};
  } else {
    return lanes_u32<kNum>{0, 1, 2, 3, 4, 5, 6, 7};
  }
}

template <int kNum>
[[gnu::always_inline]] inline lanes_u32<kNum> broadcast(uint32_t x) {
  return lanes_u32<kNum>{} + x;
}
template <int kNum>
[[gnu::always_inline]] inline lanes_i32<kNum> broadcast(int32_t x) {
  return lanes_i32<kNum>{} + x;
}

template <typename Lanes>
[[gnu::always_inline]] inline Lanes select(Lanes mask, Lanes a, Lanes b) {
  return (mask & a) | (~mask & b);
}
template <typename Lanes>
[[gnu::always_inline]] inline Lanes max(Lanes a, Lanes b) {
  return a > b ? a : b;
}
template <typename Lanes>
[[gnu::always_inline]] inline Lanes min(Lanes a, Lanes b) {
  return a < b ? a : b;
}

// Lane i of the result is lane i - kBy, and 0 in the first kBy.
template <int kNum, int kBy, int... kLane>
[[gnu::always_inline]] inline lanes_u32<kNum> shifted_up(lanes_u32<kNum> x, std::integer_sequence<int, kLane...>) {
  return __builtin_shufflevector(lanes_u32<kNum>{}, x, (kLane < kBy ? kLane : kNum + kLane - kBy)...);
}
template <int kNum, int kBy>
[[gnu::always_inline]] inline lanes_u32<kNum> shifted_up(lanes_u32<kNum> x) {
  return shifted_up<kNum, kBy>(x, std::make_integer_sequence<int, kNum>{});
}

// Lane i of the result is the sum of lanes 0 to i.
template <int kNum, int kBy = 1>
[[gnu::always_inline]] inline lanes_u32<kNum> prefix_sums(lanes_u32<kNum> x) {
  x += shifted_up<kNum, kBy>(x);
  if constexpr (2 * kBy < kNum) return prefix_sums<kNum, 2 * kBy>(x);
  return x;
}

template <int kNum>
[[gnu::always_inline]] inline void store(int32_t* to, lanes_u32<kNum> values) {
  std::memcpy(to, &values, sizeof(values));
}
template <int kNum>
[[gnu::always_inline]] inline void store(int64_t* to, lanes_u32<kNum> values) {
  const auto wide = __builtin_convertvector((lanes_i32<kNum>)values, lanes_i64<kNum>);
  std::memcpy(to, &wide, sizeof(wide));
}

// Sends kBytes past the cache where the architecture can. Both sides are aligned to kBytes, or to a cache line.
template <int kBytes>
[[gnu::always_inline]] inline void stream_bytes(void* to, const void* from) {
  constexpr int kVectorBytes = 4 * kLanes;
  if constexpr (kBytes > kVectorBytes) {
    stream_bytes<kVectorBytes>(to, from);
    stream_bytes<kBytes - kVectorBytes>(static_cast<char*>(to) + kVectorBytes,
                                        static_cast<const char*>(from) + kVectorBytes);
    return;
  } else {
    static_assert(kBytes == kVectorBytes);
#if defined(__AVX2__)
    _mm256_stream_si256(static_cast<__m256i*>(to), _mm256_load_si256(static_cast<const __m256i*>(from)));
#elif defined(__SSE2__)
    _mm_stream_si128(static_cast<__m128i*>(to), _mm_load_si128(static_cast<const __m128i*>(from)));
#else
    std::memcpy(to, from, kBytes);
#endif
  }
}

template <typename Element>
[[gnu::always_inline]] inline void stream(Element* to, lanes_u32<kLanes> values) {
  alignas(64) Element aligned[kLanes];
  store<kLanes>(aligned, values);
  stream_bytes<sizeof(aligned)>(to, aligned);
}

// Instead of std::min and std::clamp: what this folder compiles must not leave inline functions of others behind.
[[gnu::always_inline]] inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
[[gnu::always_inline]] inline int64_t limited(int64_t x, int64_t low, int64_t high) {
  return x < low ? low : least(x, high);
}

}  // namespace
}  // namespace nsameta::cpu
