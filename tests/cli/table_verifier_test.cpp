#include "cli/table_verifier.h"

#include <gtest/gtest.h>

#include <vector>

#include "cli/traffic.h"
#include "cli/verifier.h"

namespace nsameta::cli {
namespace {

constexpr int32_t kRows = 3;
constexpr int64_t kContext = 300;

// One builder of mode verify or extend with every table, and an engine's table for it.
class built_tables : public testing::Test {
 protected:
  built_tables() : where_(kCpuDevice, "cpu"), table_(kRows, kContext), slots_(where_, &table_) {
    for (int32_t row = 0; row < kRows; ++row) {
      auto slot = table_.row(row);
      for (size_t c = 0; c < slot.size(); ++c) slot[c] = 1000 * (row + 1) + static_cast<int32_t>(c);
    }
  }

  builder_options options_of(nsameta_mode mode) {
    builder_options options{mode, 4, 8, mode == NSAMETA_MODE_TARGET_VERIFY ? 2 : 0, 5, false};
    options.slots = &slots_;
    options.has_wide_table = true;
    options.page_size = 16;
    options.max_keys = 1000;
    options.num_sms = 4;
    options.plan_rows = 513;
    return options;
  }

  session where_;
  req_to_token table_;
  slot_table slots_;
  const std::vector<int32_t> seq_lens_ = {3, 200, 9};
  const std::vector<int32_t> extend_ = {2, 3, 1};
  const std::vector<int32_t> pool_rows_ = {2, 0, 1};
};

TEST_F(built_tables, finds_changed_cells_and_writes_behind_a_row) {
  for (const auto mode : {NSAMETA_MODE_TARGET_VERIFY, NSAMETA_MODE_EXTEND}) {
    builder b(where_, options_of(mode));
    verifier v(where_, b);
    batch lengths{mode, seq_lens_, {}, 2, 6, 202, pool_rows_};
    if (mode == NSAMETA_MODE_EXTEND) lengths = {mode, seq_lens_, extend_, 0, 6, 200, pool_rows_};
    mismatch_list list;
    const auto build = [&] {
      b.load(lengths);
      v.prepare(lengths);
      b.run(lengths);
    };
    build();
    v.check(0, &list);
    ASSERT_EQ(list.count, 0) << list.first[0].output;

    const auto expect_found = [&](const table_place& place, int64_t cell) {
      build();
      const auto count = list.count;
      ++place.cells.as<int32_t>()[cell];
      v.check(1, &list);
      EXPECT_EQ(list.count, count + 1) << place.name << " " << cell;
      if (list.first.size() < kMaxMismatchesKept) {
        EXPECT_EQ(list.first.back().output, place.name);
      }
    };
    const int64_t last_row = mode == NSAMETA_MODE_EXTEND ? 2 : 5;
    for (const auto* place : {&b.page_table_1(), &b.real_page_table()}) {
      const int64_t live = place == &b.page_table_1() ? 128 : 8;
      expect_found(*place, 0);
      expect_found(*place, last_row * place->row_stride + live - 1);
      expect_found(*place, last_row * place->row_stride + live);
      expect_found(*place, (last_row + 1) * place->row_stride);  // a row that does not exist
    }
    expect_found(b.page_table_1_flattened(), 5);
  }
}

TEST_F(built_tables, counts_the_bytes_of_a_build) {
  builder b(where_, options_of(NSAMETA_MODE_EXTEND));
  const batch lengths{NSAMETA_MODE_EXTEND, seq_lens_, extend_, 0, 6, 200, pool_rows_};
  const int64_t live = 128 + 256 + 128;
  const int64_t pages = 8 + 16 + 8;
  const int64_t inputs = 3 * 3 + live;
  const int64_t by_token = 8 * 6 + 7;  // with out_slots, and nsa_cu_seqlens_k
  const int64_t by_request = 3 + 4 + 4;
  const int64_t tables = live + pages + (3 + 200 + 9);
  EXPECT_EQ(bytes_moved(b, lengths), 4 * (inputs + by_token + by_request + 1 + tables + 10));
}

}  // namespace
}  // namespace nsameta::cli
