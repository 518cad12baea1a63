#include "bench/cpu/fill.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>

#include <algorithm>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace nsameta::bench {
namespace {

constexpr int64_t kLineCells = 16;
constexpr int kPartsPerThread = 4;
constexpr int32_t kConstant = 0x12345678;  // some machines write zeros faster than anything else

void fill_range(int32_t* begin, int32_t* end) {
#if defined(__SSE2__)
  for (int32_t* line = begin; line < end; line += kLineCells) {
    for (int k = 0; k < kLineCells; k += 4) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(line + k), _mm_set1_epi32(kConstant));
    }
  }
  _mm_sfence();
#else
  std::fill(begin, end, kConstant);
#endif
}

}  // namespace

cells allocate_cells(int64_t count) {
  constexpr size_t kAlignment = 4096;
  const auto bytes = (static_cast<size_t>(count) * sizeof(int32_t) + kAlignment - 1) / kAlignment * kAlignment;
  return cells(static_cast<int32_t*>(std::aligned_alloc(kAlignment, bytes)));
}

void fill_past_cache(int32_t* data, int64_t count) {
  const int num_parts = tbb::this_task_arena::max_concurrency() * kPartsPerThread;
  const int64_t num_lines = count / kLineCells;
  tbb::parallel_for(
      tbb::blocked_range<int>(0, num_parts),
      [&](const tbb::blocked_range<int>& parts) {
        const int64_t first = num_lines * parts.begin() / num_parts, last = num_lines * parts.end() / num_parts;
        fill_range(data + first * kLineCells, data + last * kLineCells);
      },
      tbb::simple_partitioner());
}

}  // namespace nsameta::bench
