// page_table_1 and real_page_table: widths, rows, page sizes, views with any strides.
#include "tests/support/execution_test.h"

namespace nsameta::test {
namespace {

constexpr nsameta_table_width kWidths[] = {NSAMETA_TABLE_LIVE_128, NSAMETA_TABLE_FULL, NSAMETA_TABLE_EXACT};
constexpr nsameta_table_rows kRows[] = {NSAMETA_TABLE_ROWS_PER_REQUEST, NSAMETA_TABLE_ROWS_PER_TOKEN};

class build_metadata_tables : public execution_test {
 protected:
  // Both tables of a case with lengths around the edges of LIVE_128 and of pages.
  metadata_case edges() {
    auto c = decode_case({0, 1, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300}).with_pool(random_);
    return c.want({output_id::page_table_1, output_id::real_page_table});
  }
  metadata_case of_mode(nsameta_mode mode, int64_t batch) {
    auto lengths = random_lengths(random_, batch, 0, 300);
    if (mode == NSAMETA_MODE_DECODE) return decode_case(std::move(lengths)).with_pool(random_);
    if (mode == NSAMETA_MODE_TARGET_VERIFY) return verify_case(std::move(lengths), 3).with_pool(random_);
    return ragged_case(mode, std::move(lengths), random_lengths(random_, batch, 0, 5)).with_pool(random_);
  }

  random_source random_{70};
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_tables);

TEST_P(build_metadata_tables, widths_at_their_edges) {
  for (const auto width : kWidths) {
    for (const int64_t columns : {0, 1, 127, 128, 200, 256, 300, 384, 500}) {
      auto c = edges();
      c.inputs.table_width = width;
      c.page_table_1.num_columns = columns;
      c.real_page_table.num_columns = columns / 50;
      check(c);
    }
  }
}

TEST_P(build_metadata_tables, rows_in_every_mode) {
  for (const auto mode :
       {NSAMETA_MODE_DECODE, NSAMETA_MODE_TARGET_VERIFY, NSAMETA_MODE_DRAFT_EXTEND, NSAMETA_MODE_EXTEND}) {
    for (const int64_t batch : {1, 9, 70}) {
      auto c = of_mode(mode, batch).want_all();
      check(c);
      for (const auto rows : kRows) {
        for (const auto width : kWidths) {
          c.table_rows = rows;
          c.inputs.table_width = width;
          check(c);
        }
      }
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(build_metadata_tables, page_sizes) {
  for (const auto width : kWidths) {
    for (int page_size = 1; page_size <= 256; page_size *= 2) {
      auto c = edges();
      c.inputs.table_width = width;
      c.inputs.page_size = page_size;
      if (page_size == 1) c.at(output_id::real_page_table).is_wanted = false;
      check(c);
      c.page_table_1.num_columns = 401;
      c.real_page_table.num_columns = 401 / page_size + 1;
      check(c);
    }
  }
}

TEST_P(build_metadata_tables, one_table_alone) {
  for (const auto id : {output_id::page_table_1, output_id::real_page_table}) {
    for (const auto rows : kRows) {
      auto c = of_mode(NSAMETA_MODE_DRAFT_EXTEND, 20).want({id});
      c.table_rows = rows;
      check(c);
    }
  }
}

TEST_P(build_metadata_tables, views_with_any_strides) {
  for (const bool column_major : {false, true}) {
    for (const int reversed : {0, 1, 2, 3}) {
      for (const int64_t step : {1, 2, 3}) {
        for (const int64_t padding : {-1, 0, 7}) {
          if (step == 1 && padding < 0) continue;
          const matrix_layout memory{.is_column_major = column_major,
                                     .has_rows_reversed = reversed % 2 != 0,
                                     .has_columns_reversed = reversed / 2 != 0,
                                     .inner_step = step,
                                     .padding = padding};
          auto c = edges();
          c.page_table_1.memory = memory;
          c.real_page_table.memory = memory;
          c.at(output_id::page_table_1).slack = 2;
          c.table_rows = padding == 7 ? NSAMETA_TABLE_ROWS_PER_TOKEN : NSAMETA_TABLE_ROWS_DEFAULT;
          SCOPED_TRACE(to_string(memory));
          check(c);
          auto input = edges();
          input.req_to_token = memory;
          input.pool_offset_elements = step;
          check(input);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(build_metadata_tables, unaligned_bases_and_pitches) {
  for (const int64_t offset : {0, 1, 2, 3, 5, 9}) {
    for (const int64_t padding : {0, 1, 2, 3, 4}) {
      auto c = edges();
      c.at(output_id::page_table_1).offset_elements = offset;
      c.at(output_id::real_page_table).offset_elements = offset + 1;
      c.page_table_1.memory.padding = padding;
      c.real_page_table.memory.padding = padding;
      c.pool_offset_elements = 3 * offset % 8;
      c.req_to_token.padding = padding;
      check(c);
    }
    if (HasFatalFailure()) return;
  }
}

TEST_P(build_metadata_tables, contexts_shorter_than_the_table) {
  // Columns beyond req_to_token's are -1, by LIVE_128 and FULL also where no key is.
  for (const auto width : kWidths) {
    for (const int64_t context : {0, 1, 130, 299, 300}) {
      auto c = edges();
      c.with_pool(random_, context);
      c.inputs.table_width = width;
      c.page_table_1.num_columns = 400;
      c.real_page_table.num_columns = 8;
      check(c);
    }
  }
}

TEST_P(build_metadata_tables, max_table_width) {
  for (const auto width : kWidths) {
    for (const int64_t most :
         {int64_t{0}, int64_t{1}, int64_t{63}, int64_t{64}, int64_t{65}, int64_t{129}, int64_t{1000}, INT64_MAX}) {
      auto c = edges();
      c.inputs.table_width = width;
      c.max_table_width = most;
      check(c);
    }
  }
}

TEST_P(build_metadata_tables, long_rows_beside_empty_ones) {
  for (const auto width : kWidths) {
    auto c = decode_case({0, 70'000, 3, 0, 9'999, 1}).with_pool(random_);
    c.want({output_id::page_table_1, output_id::real_page_table, output_id::page_table_1_flattened});
    c.inputs.table_width = width;
    check(c);
    c.page_table_1.memory.inner_step = 2;
    c.table_rows = NSAMETA_TABLE_ROWS_PER_TOKEN;
    check(c);
  }
}

TEST_P(build_metadata_tables, many_short_rows) {
  for (const int64_t batch : {257, 1025, 4100}) {
    auto c = decode_case(random_lengths(random_, batch, 0, 20)).with_pool(random_).want_all();
    for (const auto width : kWidths) {
      c.inputs.table_width = width;
      check(c);
    }
    if (HasFatalFailure()) return;
  }
}

TEST_P(build_metadata_tables, kv_bound_changes_no_result) {
  for (const auto width : kWidths) {
    for (const int64_t bound : {int64_t{0}, int64_t{1}, int64_t{128}, int64_t{300}, int64_t{100'000}, INT64_MAX}) {
      auto c = edges();
      c.inputs.table_width = width;
      c.max_kv_bound = bound;
      check(c);
      auto verify = of_mode(NSAMETA_MODE_TARGET_VERIFY, 20).want_all();
      verify.max_kv_bound = bound;
      verify.num_tokens_bound = bound;
      check(verify);
    }
  }
}

TEST_P(build_metadata_tables, no_tokens_and_no_requests) {
  for (const auto rows : kRows) {
    auto idle = ragged_case(NSAMETA_MODE_EXTEND, {5, 200, 9}, {0, 0, 0}).with_pool(random_).want_all();
    auto none = ragged_case(NSAMETA_MODE_EXTEND, {}, {}).with_pool(random_, 50).want_all();
    for (auto* c : {&idle, &none}) {
      c->table_rows = rows;
      for (auto& output : c->outputs) output.slack = 4;
      check(*c);
    }
  }
}

}  // namespace
}  // namespace nsameta::test
