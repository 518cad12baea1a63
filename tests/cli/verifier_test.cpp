#include "cli/verifier.h"

#include <gtest/gtest.h>

#include <vector>

namespace nsameta::cli {
namespace {

constexpr int64_t kStep = 17;

mismatch_list compare(const std::vector<int32_t>& cells, const std::vector<int32_t>& before,
                      const std::vector<int32_t>& expected, bool check_all) {
  mismatch_list list;
  compare_output({"positions", cells, before, expected}, check_all, kStep, NSAMETA_MODE_EXTEND, &list);
  return list;
}

TEST(verifier, accepts_equal_arrays) {
  EXPECT_EQ(compare({1, 2, 3, 9, 9}, {7, 7, 7, 9, 9}, {1, 2, 3}, true).count, 0);
  EXPECT_EQ(compare({9, 9}, {9, 9}, {}, true).count, 0);
}

TEST(verifier, says_where_a_value_differs) {
  const auto list = compare({1, 5, 3, 6, 9}, {9, 9, 9, 9, 9}, {1, 2, 3, 4}, false);
  ASSERT_EQ(list.count, 2);
  EXPECT_EQ(list.first[0].step, kStep);
  EXPECT_EQ(list.first[0].mode, NSAMETA_MODE_EXTEND);
  EXPECT_EQ(list.first[0].output, "positions");
  EXPECT_EQ(list.first[0].index, 1);
  EXPECT_EQ(list.first[0].expected, 2);
  EXPECT_EQ(list.first[0].got, 5);
  EXPECT_EQ(list.first[1].index, 3);
}

TEST(verifier, sees_writes_beyond_the_end) {
  EXPECT_EQ(compare({1, 2, 0, 9}, {9, 9, 9, 9}, {1, 2}, false).count, 1);
  EXPECT_EQ(compare({1, 2, 9, 0}, {9, 9, 9, 9}, {1, 2}, false).count, 0);  // only the next cell is looked at
  EXPECT_EQ(compare({1, 2, 9, 0}, {9, 9, 9, 9}, {1, 2}, true).count, 1);
}

TEST(verifier, keeps_the_first_mismatches_and_counts_all) {
  const auto list =
      compare(std::vector<int32_t>(50, 1), std::vector<int32_t>(50, 0), std::vector<int32_t>(50, 2), true);
  EXPECT_EQ(list.count, 50);
  EXPECT_EQ(list.first.size(), kMaxMismatchesKept);
}

// The library's own outputs pass; every cell of every output that is then changed is found.
TEST(verifier, finds_any_changed_cell_of_a_build) {
  const session where(kCpuDevice, "cpu");
  builder b(where, {NSAMETA_MODE_TARGET_VERIFY, 4, 8, 2, 5, false});
  verifier v(where, b);
  const int32_t seq_lens[] = {3, 0, 9};
  const batch lengths{NSAMETA_MODE_TARGET_VERIFY, seq_lens, {}, 2, 6, 11};
  mismatch_list list;
  const auto build = [&] {
    b.load(lengths);
    v.prepare(lengths);
    b.run(lengths);
  };
  build();
  v.check(0, &list);
  ASSERT_EQ(list.count, 0);

  int64_t num_built = 0;
  for (const auto& place : b.layout().places) {
    SCOPED_TRACE(place.name);
    if (place.capacity == 0) continue;
    build();
    std::vector<int32_t> unused;
    auto* cells = const_cast<int32_t*>(b.outputs_on_host(&unused));
    ++cells[place.first_cell];
    v.check(++num_built, &list);
    ASSERT_EQ(list.count, num_built);
    EXPECT_EQ(list.first.size() < kMaxMismatchesKept ? list.first.back().output : place.name, place.name);
  }
  EXPECT_EQ(num_built, 13);
}

TEST(verifier, begins_again_after_builds_that_were_not_checked) {
  const session where(kCpuDevice, "cpu");
  builder b(where, {NSAMETA_MODE_EXTEND, 4, 16, 0, 5, false});
  verifier v(where, b);
  mismatch_list list;
  const int32_t seq_lens[] = {9, 20};
  const int32_t many[] = {6, 7};
  const int32_t few[] = {1, 2};
  const batch large{NSAMETA_MODE_EXTEND, seq_lens, many, 0, 13, 20};
  const batch small{NSAMETA_MODE_EXTEND, seq_lens, few, 0, 3, 20};
  for (const bool is_checked : {true, false, true}) {
    for (const auto& lengths : {large, small}) {
      b.load(lengths);
      if (is_checked) v.prepare(lengths);
      b.run(lengths);
      is_checked ? v.check(0, &list) : v.skip();
    }
  }
  EXPECT_EQ(list.count, 0);
}

}  // namespace
}  // namespace nsameta::cli
