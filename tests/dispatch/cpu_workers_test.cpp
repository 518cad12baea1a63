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

TEST(cpu_workers, what_is_streamed_depends_on_their_number) {
  policy policy = default_policy();
  policy.min_stream_bytes = 1000;
  policy.stream_bytes_of_thread = 200;
  const auto streams = [&](int num_threads, int64_t bytes) {
    tbb::task_arena arena(num_threads);
    return arena.execute([&] { return streams_tokens(policy, bytes); });
  };
  EXPECT_FALSE(streams(1, 199));
  EXPECT_TRUE(streams(1, 200));
  EXPECT_FALSE(streams(3, 599));
  EXPECT_TRUE(streams(3, 600));
  EXPECT_FALSE(streams(8, 999));
  EXPECT_TRUE(streams(8, 1000));
}

}  // namespace
}  // namespace nsameta::cpu
