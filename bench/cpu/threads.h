// How many threads the library computes with.
#pragma once

#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <vector>

namespace nsameta::bench {

// 1, 2, 4, ... and all.
inline std::vector<int> thread_counts() {
  const int all = tbb::this_task_arena::max_concurrency();
  std::vector<int> counts;
  for (int n = 1; n < all; n *= 2) counts.push_back(n);
  counts.push_back(all);
  return counts;
}

// body() in an arena of so many threads, and no others that work.
template <typename Body>
void run_with_threads(int num_threads, const Body& body) {
  const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(num_threads));
  tbb::task_arena arena(num_threads);
  arena.execute(body);
}

}  // namespace nsameta::bench
