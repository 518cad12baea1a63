// mla_schedule against the oracle, and the oracle against rows worked out by hand.
#include "tests/support/mla_case.h"
#include "tests/support/random.h"

namespace nsameta::test {
namespace {

std::vector<int64_t> random_lengths(random_source& random, int64_t count, int64_t high) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < count; ++i) lengths.push_back(random.chance(10) ? 0 : random.in(0, high));
  return lengths;
}

class mla_schedule_batches : public op_test {
 protected:
  void check_case(const mla_case& c) {
    const auto& in = c.inputs;
    SCOPED_TRACE(testing::Message() << "batch " << in.seq_lens.size() << " parts " << in.num_parts << " block "
                                    << in.block_size << " overhead " << in.fixed_overhead << " topk " << in.topk
                                    << " min_keys " << in.min_keys << " layout " << in.layout);
    bound_mla call(context(), stream(), c);
    check(call);
  }

  void check_all_layouts(mla_case c) {
    for (const int layout : {NSAMETA_MLA_TOKENS, NSAMETA_MLA_BLOCKS, NSAMETA_MLA_SCHED_META}) {
      c.inputs.layout = layout;
      ASSERT_NO_FATAL_FAILURE(check_case(c));
    }
  }
};
NSAMETA_TEST_ALL_EXECUTIONS(mla_schedule_batches);

TEST_P(mla_schedule_batches, decode) {
  random_source random(300);
  for (const int64_t batch : {1, 2, 3, 31, 32, 33, 64, 65, 127, 256, 300}) {
    for (const int parts : {1, 7, 66, 132}) {
      check_all_layouts({.inputs = {.seq_lens = random_lengths(random, batch, 9000), .num_parts = parts}, .slack = 3});
    }
  }
}

TEST_P(mla_schedule_batches, empty_batch_gives_idle_parts) {
  check_all_layouts({.inputs = {.seq_lens = {}, .num_parts = 5}});
}

TEST_P(mla_schedule_batches, requests_without_keys) {
  for (const int min_keys : {0, 1}) {
    for (const int overhead : {0, 5}) {
      mla_case c{.inputs = {.num_parts = 7, .fixed_overhead = overhead, .min_keys = min_keys}};
      c.inputs.seq_lens.assign(40, 0);
      check_all_layouts(c);
      c.inputs.seq_lens = {0, 1, 0, 6400, 0, 0, 64, 65, 0};
      check_all_layouts(c);
    }
  }
}

TEST_P(mla_schedule_batches, one_long_request_feeds_every_part) {
  check_all_layouts({.inputs = {.seq_lens = {1 << 20}, .num_parts = 132}});
  check_all_layouts({.inputs = {.seq_lens = {5, 1 << 20, 7}, .num_parts = 132}});
}

TEST_P(mla_schedule_batches, sparse_ignores_lengths) {
  random_source random(301);
  const auto lengths = random_lengths(random, 70, 5000);
  check_all_layouts({.inputs = {.seq_lens = lengths, .num_parts = 66, .topk = 2048}});
  check_all_layouts({.inputs = {.seq_lens = {-3, 8, 9}, .num_parts = 3, .topk = 100}});
  check_all_layouts({.inputs = {.seq_lens = lengths, .num_parts = 132, .topk = 2048}, .has_lengths = false});
}

TEST_P(mla_schedule_batches, lengths_of_any_kind) {
  random_source random(302);
  auto lengths = random_lengths(random, 50, 20'000);
  for (const int64_t stride : {1, 3}) {
    for (const auto dtype : {NSAMETA_INT32, NSAMETA_INT64}) {
      check_case({.inputs = {.seq_lens = lengths, .num_parts = 20}, .dtype = dtype, .stride = stride});
    }
  }
  lengths[7] = (int64_t{5} << 32) + 77;
  check_case({.inputs = {.seq_lens = lengths, .num_parts = 20}, .dtype = NSAMETA_INT64});
}

TEST_P(mla_schedule_batches, negative_lengths_count_as_zero) {
  check_all_layouts({.inputs = {.seq_lens = {100, -1, 700, INT32_MIN, 3}, .num_parts = 4}});
}

// Kernels find the parts a wave at a time.
TEST_P(mla_schedule_batches, parts_of_several_waves) {
  random_source random(305);
  for (const int parts : {31, 32, 33, 64, 65, 128, 129, 1023, 1024}) {
    check_all_layouts({.inputs = {.seq_lens = {1 << 17}, .num_parts = parts}});
    check_all_layouts({.inputs = {.seq_lens = random_lengths(random, 40, 9000), .num_parts = parts}});
    check_all_layouts({.inputs = {.seq_lens = random_lengths(random, 700, 200), .num_parts = parts}});
  }
}

// Short requests: nearly every part takes one whole that ends in its overhead, which moves the parts behind it.
TEST_P(mla_schedule_batches, parts_that_take_more_than_their_share) {
  random_source random(306);
  for (const int overhead : {1, 5, 63, 65'536}) {
    for (const int64_t high : {1, 64, 300, 2000}) {
      const auto lengths = random_lengths(random, 400, high);
      check_all_layouts({.inputs = {.seq_lens = lengths, .num_parts = 132, .fixed_overhead = overhead}});
    }
  }
  // Moves alone carry parts over the ends of requests: over none, one, or the last.
  for (int64_t blocks = 1; blocks < 40; ++blocks) {
    const auto lengths = std::vector<int64_t>(90, blocks * 64);
    check_case({.inputs = {.seq_lens = lengths, .num_parts = 70}});
    check_case({.inputs = {.seq_lens = lengths, .num_parts = 132}});
  }
}

TEST_P(mla_schedule_batches, parts_that_begin_where_requests_do) {
  for (const int parts : {20, 40, 80, 120}) {
    for (const int overhead : {0, 1}) {
      const auto lengths = std::vector<int64_t>(40, 6 * 64);
      check_all_layouts({.inputs = {.seq_lens = lengths, .num_parts = parts, .fixed_overhead = overhead}});
    }
  }
}

// They end where they begin, and are taken by the part that comes there.
TEST_P(mla_schedule_batches, requests_that_cost_nothing) {
  for (const int64_t batch : {64, 65, 2500}) {
    for (const int parts : {1, 7, 40, 132}) {
      mla_case c{.inputs = {.num_parts = parts, .fixed_overhead = 0, .layout = NSAMETA_MLA_TOKENS}};
      for (int64_t r = 0; r < batch; ++r) c.inputs.seq_lens.push_back(r % 5 == 2 ? 6 * 64 : 0);
      check_case(c);
      c.inputs.seq_lens.assign(static_cast<size_t>(batch), 0);
      check_case(c);
      c.inputs.seq_lens.back() = 640;
      check_case(c);
    }
  }
}

// A GPU's kernel holds coordinates of 2048 chunks of requests.
TEST_P(mla_schedule_batches, more_requests_than_chunks) {
  random_source random(303);
  for (const int64_t batch : {2047, 2048, 2049, 4096, 4097, 7000, 33'000}) {
    for (const int parts : {1, 132, 1024}) {
      check_case({.inputs = {.seq_lens = random_lengths(random, batch, 700), .num_parts = parts}});
    }
  }
  // Parts that begin and end on either side of a border, and one that goes on over several.
  auto lengths = std::vector<int64_t>(6200, 10);
  lengths[2047] = lengths[2048] = lengths[4096] = 100'000;
  check_all_layouts({.inputs = {.seq_lens = lengths, .num_parts = 132}});
  check_all_layouts({.inputs = {.seq_lens = std::vector<int64_t>(6200, 10), .num_parts = 2}});
  check_all_layouts({.inputs = {.seq_lens = lengths, .num_parts = 1024, .fixed_overhead = 300}});
  check_all_layouts({.inputs = {.seq_lens = lengths, .num_parts = 132, .topk = 2048}, .has_lengths = false});
  check_case({.inputs = {.seq_lens = lengths, .num_parts = 132}, .dtype = NSAMETA_INT64, .stride = 2});
  lengths[5000] = -7;
  check_case({.inputs = {.seq_lens = lengths, .num_parts = 132}});
}

// The third request costs more than INT32_MAX. Costs are 6 P: the first ends at P + 10, the second at 2 P + 65535.
TEST_P(mla_schedule_batches, a_request_of_more_than_int32_max) {
  constexpr int32_t kOverhead = 65'535;
  constexpr int32_t kShare = 1'073'840'126;
  constexpr int32_t kFirst = kShare + 10 - kOverhead;
  constexpr int32_t kSecond = kShare - 10;
  mla_case c{.inputs = {.seq_lens = {kFirst, kSecond, INT32_MAX, kSecond, kFirst}, .num_parts = 6, .block_size = 1}};
  c.inputs.fixed_overhead = kOverhead;
  c.inputs.layout = NSAMETA_MLA_BLOCKS;
  c.by_hand = {.parts = {{0, 0, 0, kFirst, 0},
                         {1, 0, 1, kSecond, 0},
                         {2, 0, 2, kShare, 0},
                         {2, kShare, 3, 2 * kOverhead, 1},
                         {3, 2 * kOverhead, 4, kOverhead + 10, 1},
                         {4, kOverhead + 10, 4, kFirst, 1}},
               .num_words = 5,
               .num_splits = {0, 1, 2, 4, 6, 8},
               .negative_requests = {}};
  check_case(c);
}

// NSAMETA_TEST_CASES asks for more.
TEST_P(mla_schedule_batches, random_cases) {
  random_source random(304);
  const uint64_t cases = num_cases(60);
  for (uint64_t i = 0; i < cases; ++i) {
    mla_case c;
    const int64_t batch = random.in(1, random.pick({10, 90, 90, 500}));
    c.inputs.seq_lens = random_lengths(random, batch, random.pick({0, 5, 70, 1000, 30'000}));
    c.inputs.num_parts = static_cast<int>(random.in(1, random.pick({20, 200, 200, 1024})));
    c.inputs.block_size = random.pick({1, 16, 64, 100});
    c.inputs.fixed_overhead = random.pick({0, 1, 3, 5, 400});
    c.inputs.min_keys = static_cast<int>(random.in(0, 1));
    c.inputs.layout = static_cast<int>(random.in(0, 2));
    ASSERT_NO_FATAL_FAILURE(check_case(c));
  }
}

using rows = std::vector<std::array<int32_t, 8>>;

// 5 + 1 blocks cost 16, so each of three parts may spend ceil(16 / 3) + 5 = 11.
TEST(mla_schedule_reference, a_part_without_work) {
  const auto made =
      reference::build_mla_schedule({.seq_lens = {300, 10}, .num_parts = 3, .layout = NSAMETA_MLA_TOKENS});
  EXPECT_EQ(made.parts, (rows{{0, 0, 0, 300, 0}, {1, 0, 1, 10, 0}, {2, 0, 1, 10, 0}}));
  EXPECT_EQ(made.num_splits, (std::vector<int32_t>{0, 1, 2}));
}

// 10 + 1 blocks cost 21, so each may spend 12: 7 blocks first, then the other 3, and the 4 left do not pay for 1 + 5.
TEST(mla_schedule_reference, a_request_in_two_parts) {
  reference::mla_inputs in{.seq_lens = {640, 10}, .num_parts = 3, .layout = NSAMETA_MLA_TOKENS};
  EXPECT_EQ(reference::build_mla_schedule(in).parts, (rows{{0, 0, 0, 448, 0}, {0, 448, 0, 640, 1}, {1, 0, 1, 10, 0}}));
  in.layout = NSAMETA_MLA_BLOCKS;
  EXPECT_EQ(reference::build_mla_schedule(in).parts, (rows{{0, 0, 0, 7, 0}, {0, 7, 0, 10, 1}, {1, 0, 1, 1, 0}}));
  in.layout = NSAMETA_MLA_SCHED_META;
  const auto made = reference::build_mla_schedule(in);
  EXPECT_EQ(made.parts, (rows{{0, 0, 0, 7, 0, 1, 1}, {0, 0, 7, 10, 1, 1, 1}, {1, 1, 0, 1, 0, 0, 0}}));
  EXPECT_EQ(made.num_splits, (std::vector<int32_t>{0, 2, 3}));
}

}  // namespace
}  // namespace nsameta::test
