#include "backends/cpu/policy.h"

#include <tbb/task_arena.h>

#include <algorithm>
#include <fstream>

namespace nsameta::cpu {
namespace {

// What the core shares with its neighbours, from Linux; glibc's figure is that of the whole machine.
int64_t last_level_cache_bytes() {
  constexpr int64_t kKiB = 1 << 10;
  int64_t kib = 0;
  char unit = 0;
  std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index3/size");
  return file >> kib >> unit && unit == 'K' && kib > 0 ? kib * kKiB : 32 * kKiB * kKiB;
}

}  // namespace

// EPYC (Zen 4), 2 cores, oneTBB 2021.8, 2026-11-22, seed op, now bench_cpu's `crossing`: two threads against one take
// 20 against 17 us for 512 KiB, 33 to 38 against 34 for 1 MiB, 54 to 88 against 68 for 2 MiB, 97 to 137 against 136 for
// 4 MiB. Streaming 2 x 64 MiB reaches the speed of a plain non-temporal fill, see docs/BENCHMARKS.md.
// Xeon (Cascade Lake), 2026-11-27: streaming 4 MiB takes 979 against 349 us, 32 MiB 8.7 against 7.6 ms; docs/CPU.md.
// Xeon with AVX-512, 480 MiB of cache as Linux tells it, one core, 2026-11-27: 32 MiB take 1.68 ms either way, 64 MiB
// 10.9 through the cache and 3.8 streamed, 128 MiB 23.0 and 9.1: a core has its share of a large cache. Tables of 121
// MB, whose rows are written one after the other, take 15 ms through the cache and 20 streamed. min_all_nodes_bytes is
// not measured.
policy default_policy() {
  const int64_t cache_bytes = last_level_cache_bytes();
  return {
      .min_parallel_bytes = 1 << 20,
      .min_bytes_per_range = 256 << 10,
      .num_ranges_per_thread = 4,
      .request_weight_tokens = 4,
      .min_stream_bytes = cache_bytes,
      .stream_bytes_of_thread = 32 << 20,
      .min_requests_per_chunk = 1024,
      .min_all_nodes_bytes = cache_bytes,
  };
}

bool streams_tokens(const policy& policy, int64_t bytes) {
  if (bytes < std::min(policy.min_stream_bytes, policy.stream_bytes_of_thread)) return false;
  return bytes >= policy.min_stream_bytes ||
         bytes / tbb::this_task_arena::max_concurrency() >= policy.stream_bytes_of_thread;
}

std::string to_string(const policy& policy) {
  std::string text;
#define NSAMETA_TUNABLE(field, least, most, decides, measured) \
  text += (text.empty() ? "" : " ") + std::string(#field "=") + std::to_string(policy.field);
#include "backends/cpu/tunables.def"
#undef NSAMETA_TUNABLE
  return text;
}

}  // namespace nsameta::cpu
