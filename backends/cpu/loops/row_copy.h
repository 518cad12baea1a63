// Copies cells into one row of a table.
#pragma once

#include <cstdint>
#include <cstring>

#include "backends/cpu/loops/lanes.h"

namespace nsameta::cpu {
namespace {

// Whole cache lines go past the cache.
void stream_cells(const int32_t* from, int64_t num, int32_t* to) {
  constexpr int64_t kLineBytes = 64;
  constexpr int64_t kLineCells = kLineBytes / 4;
  const auto inside = static_cast<int64_t>(reinterpret_cast<uintptr_t>(to) % kLineBytes / sizeof(int32_t));
  const int64_t head = inside == 0 ? 0 : least(kLineCells - inside, num);
  std::memcpy(to, from, static_cast<size_t>(head) * sizeof(int32_t));
  int64_t i = head;
  for (; i + kLineCells <= num; i += kLineCells) {
    alignas(kLineBytes) int32_t line[kLineCells];
    std::memcpy(line, from + i, sizeof(line));
    stream_bytes<kLineBytes>(to + i, line);
  }
  std::memcpy(to + i, from + i, static_cast<size_t>(num - i) * sizeof(int32_t));
}

void copy_cells(const int32_t* from, int64_t num, int32_t* to, int64_t stride, bool is_streamed) {
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

}  // namespace
}  // namespace nsameta::cpu
