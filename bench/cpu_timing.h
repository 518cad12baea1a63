// Timing and memory for the benchmarks of the CPU backend.
#pragma once

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "backends/cpu/policy.h"

namespace nsameta::bench {

struct summary {
  double median, min, max;
};

inline summary summarise(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values.front(), values.back()};
}

template <typename Body>
double seconds(const Body& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Nanoseconds a call: samples of about a millisecond each.
template <typename Body>
summary nanoseconds(const Body& body) {
  const double once = seconds([&] { body(), body(); }) / 2;
  const int num_calls = std::max(1, static_cast<int>(1e-3 / std::max(once, 1e-9)));
  std::vector<double> samples;
  for (int i = 0; i < 31; ++i) {
    samples.push_back(1e9 / num_calls * seconds([&] {
                        for (int call = 0; call < num_calls; ++call) body();
                      }));
  }
  return summarise(samples);
}

struct release {
  void operator()(void* data) const { std::free(data); }
};
using buffer = std::unique_ptr<int32_t, release>;

// Touched by nobody yet.
inline buffer allocate(int64_t num) {
  constexpr size_t kAlignment = 4096;
  const auto bytes = (static_cast<size_t>(num) * sizeof(int32_t) + kAlignment - 1) / kAlignment * kAlignment;
  return buffer(static_cast<int32_t*>(std::aligned_alloc(kAlignment, bytes)));
}

// What the machine can do: every core streams a constant, a cache line a step, into as many ranges as the backend uses.
// Not zeros: some machines write those faster than anything else.
inline void fill_past_cache(int32_t* data, int64_t num) {
  constexpr int32_t kConstant = 0x12345678;
  const int num_parts = tbb::this_task_arena::max_concurrency() * nsameta::cpu::default_policy().num_ranges_per_thread;
  tbb::parallel_for(
      tbb::blocked_range<int>(0, num_parts),
      [&](const tbb::blocked_range<int>& parts) {
        const int64_t begin = num / 16 * parts.begin() / num_parts * 16;
        const int64_t end = num / 16 * parts.end() / num_parts * 16;
#if defined(__SSE2__)
        for (int64_t i = begin; i < end; i += 16) {
          for (int k = 0; k < 16; k += 4) {
            _mm_stream_si128(reinterpret_cast<__m128i*>(data + i + k), _mm_set1_epi32(kConstant));
          }
        }
        _mm_sfence();
#else
        std::fill(data + begin, data + end, kConstant);
#endif
      },
      tbb::simple_partitioner());
}

}  // namespace nsameta::bench
