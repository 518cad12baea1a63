#include "tests/support/random_pool.h"

#include <algorithm>

namespace nsameta::test {
namespace {

matrix_layout draw_matrix(random_source& random) {
  if (random.chance(40)) return {};
  matrix_layout layout{.is_column_major = random.chance(25),
                       .has_rows_reversed = random.chance(20),
                       .has_columns_reversed = random.chance(20),
                       .inner_step = random.pick<int64_t>({1, 1, 2, 3}),
                       .padding = random.in(0, 5)};
  if (layout.inner_step > 1 && random.chance(30)) layout.padding = -1;  // lines end with an element, not with a gap
  return layout;
}

int64_t draw_context(random_source& random, const case_limits& limits, int64_t batch) {
  const int64_t most = limits.pool_cells / (batch + 5);
  const int64_t drawn = random.pick<int64_t>(
      {random.in(0, 3), random.in(1, 40), random.in(1, 400), random.in(1, 400), random.in(1, 3000)});
  return std::min(drawn, std::max<int64_t>(most, 1));
}

// Lengths that req_to_token has room for, but for a few in some cases.
void draw_fitting_lengths(random_source& random, metadata_case* c) {
  auto& in = c->inputs;
  const int64_t offset = in.mode == NSAMETA_MODE_TARGET_VERIFY ? in.tokens_per_request : 0;
  const int percent_over = random.chance(20) ? 10 : 0;
  for (auto& length : in.seq_lens) {
    length = std::max<int64_t>(random.in(0, in.max_context) - offset, 0);
    if (random.chance(percent_over)) length = in.max_context + random.in(1, 200);
  }
}

void draw_pool_rows(random_source& random, metadata_case* c) {
  auto& in = c->inputs;
  c->req_pool_indices = {random.pick({NSAMETA_INT32, NSAMETA_INT64}), random.pick<int64_t>({1, 1, 2, -1, -3, 0}),
                         random.in(0, 3)};
  if (!random.chance(15)) return;
  const bool is_wide = c->req_pool_indices.dtype == NSAMETA_INT64;
  for (auto& row : in.req_pool_indices) {
    if (!random.chance(20)) continue;
    row = random.pick<int64_t>({-1, in.pool_rows, INT32_MAX, INT32_MIN});
    if (is_wide && random.chance(60))
      row = random.pick<int64_t>({(int64_t{1} << 32) + 1, int64_t{-1} << 32, INT64_MIN});
  }
}

void draw_table(random_source& random, const case_limits& limits, int64_t num_rows, int64_t fitting,
                table_layout* table) {
  const int64_t most = limits.table_cells / std::max<int64_t>(num_rows, 1);
  table->num_columns = random.pick<int64_t>({fitting, fitting, fitting + random.in(1, 200), random.in(0, fitting), 0});
  table->num_columns = std::min(table->num_columns, most);
  table->memory = draw_matrix(random);
}

}  // namespace

void draw_pool(random_source& random, const case_limits& limits, metadata_case* c) {
  auto& in = c->inputs;
  in.page_size = random.pick({1, 2, 16, 64, 64, 256});
  const int page_size = in.page_size;
  c->with_pool(random, draw_context(random, limits, c->batch()));
  in.page_size = page_size;
  if (random.chance(85)) draw_fitting_lengths(random, c);
  draw_pool_rows(random, c);
  c->req_to_token = draw_matrix(random);
  c->pool_offset_elements = random.in(0, 3);
  in.table_width = static_cast<int>(random.in(NSAMETA_TABLE_LIVE_128, NSAMETA_TABLE_EXACT));
  c->table_rows = static_cast<nsameta_table_rows>(random.in(0, 2));
  if (random.chance(30)) c->max_table_width = random.in(0, in.max_context + 300);
  in.mqa_variant = static_cast<int>(random.in(NSAMETA_MQA_V1, NSAMETA_MQA_SM100_JUN26));
  c->mqa_lengths = static_cast<nsameta_mqa_lengths>(random.in(0, 2));
  resolve(c);
  if (!in.mqa_by_token) {
    in.mqa_next_n = static_cast<int>(random.pick<int64_t>({1, 1, 2, 3, 4, random.in(1, 9), random.in(1, 65'536)}));
  }
  in.topk_plan_arch = static_cast<int>(random.in(0, 1));
  in.topk_plan_clusters = static_cast<int>(random.pick<int64_t>({0, 30, 33, random.in(0, 600)}));
  in.topk_plan_threshold = static_cast<int>(random.pick<int64_t>({-1, -1, 0, random.in(0, 400), INT32_MAX}));
}

void draw_slot_outputs(random_source& random, const case_limits& limits, const metadata_case& c, int percent,
                       bool may_be_small, set_layout* set) {
  auto inputs = c.inputs;
  inputs.max_tokens = 0;
  const auto m = reference::build_metadata(inputs);
  const bool is_constant = has_constant_query(inputs);
  for (int i = static_cast<int>(output_id::out_slots); i < kNumOutputs; ++i) {
    set->outputs[static_cast<size_t>(i)] = {random.chance(percent), random.in(0, 9), random.in(0, 3)};
  }
  if (may_be_small) set->at(output_id::out_slots).slack = -random.in(0, 60);
  const int64_t width = inputs.mode == NSAMETA_MODE_DECODE ? 1 : inputs.tokens_per_request;
  const int64_t num_rows = !c.tables_by_token() ? c.batch()
                           : is_constant        ? c.batch() * width
                                                : std::min(m.total_tokens, limits.num_tokens);
  for (const auto id : {output_id::page_table_1, output_id::real_page_table}) {
    if (may_be_small && c.tables_by_token() && random.chance(50)) set->at(id).slack = -random.in(0, 60);
  }
  draw_table(random, limits, num_rows, inputs.max_context, &set->page_table_1);
  draw_table(random, limits, num_rows, (inputs.max_context + inputs.page_size - 1) / inputs.page_size,
             &set->real_page_table);
  if (inputs.page_size == 1) set->at(output_id::real_page_table).is_wanted = false;
  auto& keys = set->at(output_id::page_table_1_flattened);
  if (random.chance(15)) keys.slack = -random.in(1, 500);
  if (m.total_keys > limits.num_keys) keys.slack = random.in(0, 1000) - m.total_keys;
  if (random.chance(15)) set->at(output_id::topk_plan).slack = -random.in(1, 500);
  set->out_slots_dtype = random.pick({NSAMETA_INT32, NSAMETA_INT64});
  set->num_sms = random.pick({1, 2, 7, 78, 132, 148, 512});
}

}  // namespace nsameta::test
