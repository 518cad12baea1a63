#include "backends/cpu/workers.h"

#include <gtest/gtest.h>

namespace nsameta::cpu {
namespace {

// How many threads the body may use. The policy keeps everything on all nodes, whatever this machine has.
int concurrency(workers& workers, int64_t bytes) {
  policy policy = default_policy();
  policy.min_parallel_bytes = 1000;
  policy.min_all_nodes_bytes = 0;
  int seen = 0;
  workers.run(bytes, policy, [&] { seen = tbb::this_task_arena::max_concurrency(); });
  return seen;
}

TEST(cpu_workers, without_a_limit_the_callers_arena_works) {
  tbb::task_arena callers(3);
  workers unlimited(0);
  callers.execute([&] {
    EXPECT_EQ(concurrency(unlimited, 0), 3);
    EXPECT_EQ(concurrency(unlimited, 1000), 3);
  });
}

TEST(cpu_workers, a_limit_holds_for_what_is_worth_several_threads) {
  tbb::task_arena callers(3);
  workers limited(2);
  EXPECT_FALSE(limited.are_callers());
  callers.execute([&] {
    EXPECT_EQ(concurrency(limited, 999), 3);  // in place, where one thread writes it
    EXPECT_EQ(concurrency(limited, 1000), 2);
  });
}

}  // namespace
}  // namespace nsameta::cpu
