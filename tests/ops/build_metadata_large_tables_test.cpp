// Tables and pools whose far cells lie more than 2^31 elements from the first. Only a few of them are touched; on the
// CPU the rest is memory that was never given a page.
#include <sys/mman.h>

#include <memory>

#include "tests/support/execution_test.h"

namespace nsameta::test {
namespace {

constexpr int64_t kStep = (int64_t{1} << 29) + 5;
constexpr int64_t kNumLines = 5;   // the last begins past 2^31
constexpr int64_t kMargin = 1000;  // elements around lines; those close to them are checked
constexpr int64_t kChecked = 16;
constexpr int64_t kNumElements = (kNumLines - 1) * kStep + 2 * kMargin;
constexpr int32_t kPoison = -77'777;

class build_metadata_large_tables : public execution_test {
 protected:
  void SetUp() override {
    execution_test::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (GetParam().kind == execution_kind::staged) return skip("staging would copy all of it");
    if (GetParam().device.type == NSAMETA_DEVICE_CPU) {
      block_ = mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      ASSERT_NE(block_, MAP_FAILED);
    } else if (nsameta_device_alloc(context(), bytes(), &block_) != NSAMETA_OK) {
      skip(nsameta_last_error_message());
    }
  }
  void TearDown() override {
    if (block_ != nullptr && GetParam().device.type == NSAMETA_DEVICE_CPU) {
      munmap(block_, bytes());
    } else if (block_ != nullptr) {
      nsameta_device_free(context(), block_);
    }
    execution_test::TearDown();
  }

  // kNumLines lines that are kStep elements apart, of contiguous cells.
  static placement place(bool lines_are_rows, bool is_reversed, int64_t line_length) {
    const int64_t step = is_reversed ? -kStep : kStep;
    const int64_t first = kMargin + (is_reversed ? (kNumLines - 1) * kStep : 0);
    return lines_are_rows ? placement{kNumLines, line_length, step, 1, first, kNumElements}
                          : placement{line_length, kNumLines, 1, step, first, kNumElements};
  }
  nsameta_tensor tensor(const placement& p) const {
    return matrix_at(reinterpret_cast<uintptr_t>(block_), p, nsameta_context_device(context()));
  }
  void write(int64_t element, const std::vector<int32_t>& values) {
    ASSERT_EQ(nsameta_copy_to_device(context(), static_cast<int32_t*>(block_) + element, values.data(),
                                     values.size() * sizeof(int32_t), stream()),
              NSAMETA_OK);
  }
  std::vector<int32_t> read(int64_t element, int64_t count) {
    std::vector<int32_t> values(static_cast<size_t>(count));
    EXPECT_EQ(nsameta_copy_to_host(context(), values.data(), static_cast<int32_t*>(block_) + element,
                                   values.size() * sizeof(int32_t), stream()),
              NSAMETA_OK);
    return values;
  }

  // Builds the table of `id` in the large block and compares its lines and what is beside them.
  void check_table(const metadata_case& c, output_id id, const placement& p, bool lines_are_rows);

 private:
  static size_t bytes() { return static_cast<size_t>(kNumElements) * sizeof(int32_t); }
  void skip(const char* reason) {
    expect_no_launch();
    GTEST_SKIP() << reason;
  }

  void* block_ = nullptr;
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_large_tables);

void build_metadata_large_tables::check_table(const metadata_case& c, output_id id, const placement& p,
                                              bool lines_are_rows) {
  const bool is_paged = id == output_id::real_page_table;
  const int64_t length = lines_are_rows ? p.num_columns : p.num_rows;
  const auto start_of = [&](int64_t line) { return (lines_are_rows ? p.at(line, 0) : p.at(0, line)) - kChecked; };
  for (int64_t line = 0; line < kNumLines; ++line) {
    write(start_of(line), std::vector<int32_t>(static_cast<size_t>(length + 2 * kChecked), kPoison));
  }
  bound_case bound(context(), stream(), c);
  ASSERT_NO_FATAL_FAILURE(bound.reset(bound.description().inputs));
  auto args = bound.args();
  tensor_of(&args, static_cast<int>(id)) = tensor(p);
  ASSERT_EQ(nsameta_build_metadata(context(), &args, stream()), NSAMETA_OK) << nsameta_last_error_message();
  ASSERT_EQ(nsameta_synchronize(context(), stream()), NSAMETA_OK) << nsameta_last_error_message();
  EXPECT_TRUE(bound.holds(bound.description().inputs));
  auto inputs = bound.description().inputs;
  (is_paged ? inputs.page_columns : inputs.table_columns) = p.num_columns;
  inputs.has_slots = true;
  const auto m = reference::build_metadata(inputs);
  const auto& rows = is_paged ? m.real_page_table : m.page_table_1;
  for (int64_t line = 0; line < kNumLines; ++line) {
    std::vector<int32_t> expected(static_cast<size_t>(length + 2 * kChecked), kPoison);
    for (int64_t i = 0; i < length; ++i) {
      const auto row = static_cast<size_t>(lines_are_rows ? line : i);
      const auto column = static_cast<size_t>(lines_are_rows ? i : line);
      if (row >= rows.size() || column >= rows[row].size()) continue;
      expected[static_cast<size_t>(i + kChecked)] = rows[row][column];
    }
    EXPECT_EQ(read(start_of(line), length + 2 * kChecked), expected) << "line " << line;
  }
}

TEST_P(build_metadata_large_tables, rows_past_2_31_cells) {
  random_source random(78);
  for (const auto id : {output_id::page_table_1, output_id::real_page_table}) {
    for (const auto width : {NSAMETA_TABLE_LIVE_128, NSAMETA_TABLE_FULL, NSAMETA_TABLE_EXACT}) {
      for (const bool is_reversed : {false, true}) {
        auto c = decode_case({300, 1, 129, 0, 400}).with_pool(random, 500).want({output_id::cu_seqlens_k});
        c.inputs.table_width = width;
        c.inputs.page_size = 2;
        check_table(c, id, place(true, is_reversed, 450), true);
      }
    }
  }
}

TEST_P(build_metadata_large_tables, columns_past_2_31_cells) {
  random_source random(79);
  for (const auto id : {output_id::page_table_1, output_id::real_page_table}) {
    for (const bool is_reversed : {false, true}) {
      auto c = decode_case({3, 0, 20, 5, 4, 1}).with_pool(random).want({output_id::cu_seqlens_k});
      c.inputs.page_size = 2;
      check_table(c, id, place(false, is_reversed, 6), false);
    }
  }
}

TEST_P(build_metadata_large_tables, pool_past_2_31_cells) {
  random_source random(80);
  for (const bool lines_are_rows : {true, false}) {
    for (const bool is_reversed : {false, true}) {
      // The same cells as in the pool of the case, but far apart.
      auto c = lines_are_rows ? decode_case({300, 1, 200, 5}) : decode_case({5, 0, 4, 3});
      c.with_pool(random, lines_are_rows ? 300 : kNumLines);
      if (lines_are_rows) {
        c.inputs.pool_rows = kNumLines;  // with_pool() gives at least one more than there are requests
        c.inputs.req_pool_indices = {4, 0, 2, 4};
      }
      c.want_all();
      const int64_t length = lines_are_rows ? c.inputs.max_context : c.inputs.pool_rows;
      const auto p = place(lines_are_rows, is_reversed, length);
      for (int64_t row = 0; row < c.inputs.pool_rows; ++row) {
        for (int64_t column = 0; column < c.inputs.max_context; ++column) {
          const auto cell = static_cast<size_t>(row * c.inputs.max_context + column);
          ASSERT_NO_FATAL_FAILURE(write(p.at(row, column), {(*c.pool)[cell]}));
        }
      }
      check_launch(c, [&](const bound_case& bound) {
        auto args = bound.args();
        args.req_to_token = tensor(p);
        return nsameta_build_metadata(context(), &args, stream());
      });
    }
  }
}

}  // namespace
}  // namespace nsameta::test
