#include "tests/support/bound_set.h"

#include <algorithm>
#include <cstddef>

namespace nsameta::test {
namespace {

// No test needs a longer page_table_1_flattened; garbage lengths would ask for gigabytes.
constexpr int64_t kMaxKeys = 1 << 21;
constexpr int64_t kMaxPlanTokens = 512;

bool has_plan(const metadata_case& c, int64_t num_tokens) {
  return num_tokens > c.inputs.topk_plan_clusters && num_tokens <= kMaxPlanTokens;
}

int64_t num_pages(int64_t num_keys, int64_t page_size) {
  return num_keys / page_size + (num_keys % page_size != 0 ? 1 : 0);
}

}  // namespace

nsameta_tensor& tensor_of(nsameta_metadata_outputs* outputs, int output) {
  nsameta_tensor* const tensors[] = {
#define NSAMETA_OUTPUT(name, kind) &outputs->name,
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  };
  return *tensors[output];
}

bound_set::bound_set(const metadata_case& c, size_t set_idx, const output_counts& counts, nsameta_device device,
                     memory_image* image)
    : prefix_(set_idx == 0 ? "" : "destination " + std::to_string(set_idx) + ": "), layout_(c.set(set_idx)) {
  for (int i = 0; i < kNumOutputs; ++i) {
    if (layout_.outputs[static_cast<size_t>(i)].is_wanted) add(c, i, capacity_of(c, i, counts), device, image);
  }
}

int64_t bound_set::capacity_of(const metadata_case& c, int output, const output_counts& counts) const {
  const int64_t slack = layout_.outputs[static_cast<size_t>(output)].slack;
  const auto at_least = [&](int64_t least, int64_t needed) { return std::max(needed + slack, least); };
  switch (kind_of(output)) {
    case output_kind::TOKEN: return at_least(0, counts.num_tokens);
    case output_kind::TOKEN_CU: return at_least(0, counts.num_tokens + 1);
    case output_kind::REQUEST:
    case output_kind::REQUEST_ROW: return at_least(0, counts.batch);
    case output_kind::REQUEST_CU: return at_least(0, counts.batch + 1);
    case output_kind::SCALAR: return at_least(0, 1);
    case output_kind::KEY: return at_least(0, std::min(counts.num_keys, kMaxKeys));
    case output_kind::TABLE: return at_least(0, c.tables_by_token() ? counts.num_tokens : counts.batch);
    case output_kind::SCHEDULE: return layout_.num_sms + 1;
    case output_kind::PLAN: return at_least(1, has_plan(c, counts.num_tokens) ? counts.num_tokens + 1 : 1);
  }
  return 0;
}

void bound_set::add(const metadata_case& c, int output, int64_t capacity, nsameta_device device, memory_image* image) {
  const auto id = static_cast<output_id>(output);
  const auto& in = c.inputs;
  auto& o = outputs_[static_cast<size_t>(output)];
  const auto place_table = [&](const table_layout& table, int64_t page_size) {
    const int64_t columns = table.num_columns >= 0 ? table.num_columns : num_pages(in.max_context, page_size);
    o.place = place_matrix(table.memory, capacity, columns);
    o.width = c.max_table_width < 0 ? columns : std::min(columns, num_pages(c.max_table_width, page_size));
  };
  const auto place_pairs = [&](int64_t columns, int64_t padding) {
    o.place = place_matrix({.padding = padding}, capacity, columns);
    o.width = columns;
  };
  o.place = place_vector(capacity, 1);
  if (id == output_id::page_table_1) place_table(layout_.page_table_1, 1);
  if (id == output_id::real_page_table) place_table(layout_.real_page_table, in.page_size);
  if (id == output_id::paged_mqa_ctx_lens_2d) place_pairs(layout_.ctx_lens_columns, layout_.ctx_lens_row_slack);
  if (id == output_id::paged_mqa_schedule || id == output_id::topk_plan) place_pairs(2, 0);
  const auto dtype = id == output_id::positions   ? layout_.positions_dtype
                     : id == output_id::out_slots ? layout_.out_slots_dtype
                                                  : NSAMETA_INT32;
  o.region = image->add(prefix_ + output_name(output), dtype == NSAMETA_INT64 ? 8 : 4, o.place.extent,
                        layout_.outputs[static_cast<size_t>(output)].offset_elements);
  const auto offset = static_cast<uintptr_t>(image->offset_bytes(o.region));
  const bool is_vector = kind_of(output) <= output_kind::REQUEST_CU || kind_of(output) == output_kind::SCALAR ||
                         kind_of(output) == output_kind::KEY;
  tensor_of(&tensors_, output) =
      is_vector ? vector_at(offset, o.place, dtype, device) : matrix_at(offset, o.place, device);
}

void bound_set::rebase(void* block) {
  for (int i = 0; i < kNumOutputs; ++i) {
    if (outputs_[static_cast<size_t>(i)].region < 0) continue;
    auto& tensor = tensor_of(&tensors_, i);
    tensor.data = static_cast<std::byte*>(block) + reinterpret_cast<uintptr_t>(tensor.data);
  }
}

void bound_set::raise_limits(reference::metadata_inputs* inputs) const {
  const auto raise = [](int64_t* limit, int64_t value) { *limit = std::max(*limit, value); };
  for (int i = 0; i < kNumOutputs; ++i) {
    const auto& o = outputs_[static_cast<size_t>(i)];
    const bool has_token_rows = is_per_token(i) || kind_of(i) == output_kind::TABLE;
    if (o.region >= 0 && has_token_rows) raise(&inputs->max_tokens, o.place.num_rows);
  }
  raise(&inputs->table_columns, is_wanted(output_id::page_table_1) ? at(output_id::page_table_1).width : 0);
  raise(&inputs->page_columns, is_wanted(output_id::real_page_table) ? at(output_id::real_page_table).width : 0);
  raise(&inputs->max_keys,
        is_wanted(output_id::page_table_1_flattened) ? at(output_id::page_table_1_flattened).place.num_rows : 0);
  raise(&inputs->plan_rows, is_wanted(output_id::topk_plan) ? at(output_id::topk_plan).place.num_rows : 0);
  inputs->has_out_slots = inputs->has_out_slots || is_wanted(output_id::out_slots);
  for (const auto id :
       {output_id::out_slots, output_id::page_table_1, output_id::real_page_table, output_id::page_table_1_flattened}) {
    inputs->has_slots = inputs->has_slots || is_wanted(id);
  }
}

void bound_set::expect_rows(const metadata_case& c, const reference::metadata& m, int output, int64_t tail_end,
                            memory_image* image) const {
  const auto& o = outputs_[static_cast<size_t>(output)];
  // The oracle has one row width for all destinations.
  const int64_t pitch = kind_of(output) == output_kind::REQUEST_ROW ? c.inputs.ctx_lens_columns : o.place.num_columns;
  const int64_t written = std::min(num_values(m, output) / pitch, o.place.num_rows);
  for (int64_t column = 0; column < o.width; ++column) {
    for (int64_t row = 0; row < written; ++row) {
      image->set(o.region, o.place.at(row, column), value_at(m, output, row * pitch + column));
    }
    if (c.tail == NSAMETA_TAIL_KEEP) continue;
    const int64_t last = written > 0 ? value_at(m, output, (written - 1) * pitch + column) : 0;
    const int64_t fill = c.tail == NSAMETA_TAIL_ZERO ? 0 : c.tail == NSAMETA_TAIL_MINUS_ONE ? -1 : last;
    for (int64_t row = written; row < tail_end; ++row) image->set(o.region, o.place.at(row, column), fill);
  }
}

void bound_set::expect_table(const metadata_case& c, const reference::metadata& m,
                             const std::vector<std::vector<int32_t>>& rows, output_id id, memory_image* image) const {
  const auto& o = at(id);
  if (o.width == 0) return;  // the oracle builds no rows then
  const auto num_requests = static_cast<int64_t>(m.cache_seqlens.size());
  const int64_t num_rows = c.tables_by_token() ? static_cast<int64_t>(m.token_to_batch_idx.size()) : num_requests;
  for (int64_t row = 0; row < std::min(num_rows, o.place.num_rows); ++row) {
    const auto request = c.tables_by_token() ? m.token_to_batch_idx[static_cast<size_t>(row)] : row;
    const auto& cells = rows[static_cast<size_t>(request)];
    const int64_t width = std::min(static_cast<int64_t>(cells.size()), o.width);
    for (int64_t column = 0; column < width; ++column) {
      image->set(o.region, o.place.at(row, column), cells[static_cast<size_t>(column)]);
    }
  }
}

void bound_set::expect(const metadata_case& c, const reference::metadata& m, int64_t batch, memory_image* image) const {
  for (int i = 0; i < kNumOutputs; ++i) {
    const auto& o = outputs_[static_cast<size_t>(i)];
    if (o.region < 0 || kind_of(i) == output_kind::TABLE || kind_of(i) == output_kind::SCHEDULE) continue;
    int64_t tail_end = 0;
    if (is_per_token(i) && m.total_tokens > 0) tail_end = o.place.num_rows;
    const bool is_per_request = kind_of(i) == output_kind::REQUEST || kind_of(i) == output_kind::REQUEST_CU ||
                                kind_of(i) == output_kind::REQUEST_ROW;
    if (is_per_request && c.has_num_requests()) tail_end = batch + (kind_of(i) == output_kind::REQUEST_CU ? 1 : 0);
    expect_rows(c, m, i, tail_end, image);
  }
  if (is_wanted(output_id::page_table_1)) expect_table(c, m, m.page_table_1, output_id::page_table_1, image);
  if (is_wanted(output_id::real_page_table)) expect_table(c, m, m.real_page_table, output_id::real_page_table, image);
}

void bound_set::expect_schedule(const std::vector<int32_t>& schedule, memory_image* image) const {
  const auto& o = at(output_id::paged_mqa_schedule);
  for (int64_t row = 0; row < o.place.num_rows; ++row) {
    for (int64_t column = 0; column < 2; ++column) {
      image->set(o.region, o.place.at(row, column), schedule[static_cast<size_t>(2 * row + column)]);
    }
  }
}

bool bound_set::has_too_few_tokens(const metadata_case& c, const reference::metadata& m) const {
  for (int i = 0; i < kNumOutputs; ++i) {
    const auto& o = outputs_[static_cast<size_t>(i)];
    if (o.region < 0) continue;
    const auto kind = kind_of(i);
    const bool counts = is_per_token(i) || (kind == output_kind::TABLE && c.tables_by_token()) ||
                        (kind == output_kind::PLAN && has_plan(c, m.total_tokens));
    const int64_t extra = kind == output_kind::TOKEN_CU || kind == output_kind::PLAN ? 1 : 0;
    if (counts && m.total_tokens + extra > o.place.num_rows) return true;
  }
  return false;
}

bool bound_set::has_too_few_keys(const reference::metadata& m) const {
  const auto& o = at(output_id::page_table_1_flattened);
  return o.region >= 0 && m.total_keys > o.place.num_rows;
}

}  // namespace nsameta::test
