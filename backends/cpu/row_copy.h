// Copies cells into one row of a table.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace nsameta::cpu {

// Whole cache lines go past the cache; call finish_streaming (token_fill.h) in the same thread after the last one.
inline void stream_cells(const int32_t* from, int64_t num, int32_t* to) {
#if defined(__SSE2__)
  constexpr int64_t kLineBytes = 64;
  constexpr int64_t kLineCells = kLineBytes / 4;
  const auto inside = static_cast<int64_t>(reinterpret_cast<uintptr_t>(to) % kLineBytes / sizeof(int32_t));
  const int64_t head = inside == 0 ? 0 : std::min(kLineCells - inside, num);
  std::memcpy(to, from, static_cast<size_t>(head) * sizeof(int32_t));
  int64_t i = head;
  for (; i + kLineCells <= num; i += kLineCells) {
    const auto* source = reinterpret_cast<const __m128i*>(from + i);
    auto* line = reinterpret_cast<__m128i*>(to + i);
    const __m128i a = _mm_loadu_si128(source), b = _mm_loadu_si128(source + 1);
    const __m128i c = _mm_loadu_si128(source + 2), d = _mm_loadu_si128(source + 3);
    _mm_stream_si128(line, a);
    _mm_stream_si128(line + 1, b);
    _mm_stream_si128(line + 2, c);
    _mm_stream_si128(line + 3, d);
  }
  std::memcpy(to + i, from + i, static_cast<size_t>(num - i) * sizeof(int32_t));
#else
  std::memcpy(to, from, static_cast<size_t>(num) * sizeof(int32_t));
#endif
}

inline void copy_cells(const int32_t* from, int64_t num, int32_t* to, int64_t stride, bool is_streamed) {
  constexpr int64_t kMinStreamed = 512;  // below, the lines at both ends are too much of it
  if (num <= 0) return;
  if (stride != 1) {
    for (int64_t i = 0; i < num; ++i) to[i * stride] = from[i];
  } else if (is_streamed && num >= kMinStreamed) {
    stream_cells(from, num, to);
  } else {
    std::memcpy(to, from, static_cast<size_t>(num) * sizeof(int32_t));
  }
}

}  // namespace nsameta::cpu
