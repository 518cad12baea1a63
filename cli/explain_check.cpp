// The oracle's side of `nsameta explain`: what every cell of every output must hold.
#include <algorithm>

#include "cli/explain.h"

namespace nsameta::cli {
namespace {

using build_metadata::output_kind;

constexpr size_t kMaxMismatches = 10;

// Row-major; nothing where the cell keeps what it held.
using image = std::vector<std::optional<int32_t>>;

bool builds(const explanation& e, const char* name) { return e.find(name) != nullptr; }

int64_t columns_of(const explanation& e, const char* name) {
  const auto* output = e.find(name);
  return output == nullptr ? 0 : output->num_columns;
}

int64_t rows_of(const explanation& e, const char* name) {
  const auto* output = e.find(name);
  return output == nullptr ? 0 : output->num_rows;
}

reference::metadata_inputs oracle_inputs(const explain_case& c, const explanation& e) {
  const auto& s = e.setting;
  reference::metadata_inputs in;
  in.mode = c.mode;
  in.seq_lens.assign(c.seq_lens.begin(), c.seq_lens.end());
  in.extend_seq_lens.assign(c.extend_seq_lens.begin(), c.extend_seq_lens.end());
  in.tokens_per_request = c.tokens_per_request;
  in.topk = c.topk;
  in.kpool = c.kpool;
  in.clamp = s.clamp;
  in.ctx_lens_columns = static_cast<int>(columns_of(e, "paged_mqa_ctx_lens_2d"));
  in.num_requests = -1;
  if (c.num_requests) in.num_requests = *c.num_requests;
  in.req_pool_indices.assign(s.pool_rows.begin(), s.pool_rows.end());
  in.req_to_token = s.req_to_token.data();
  in.pool_rows = s.num_pool_rows;
  in.max_context = s.max_context;
  in.page_size = c.page_size;
  in.table_width = c.table_width;
  in.table_columns = columns_of(e, "page_table_1");
  in.page_columns = columns_of(e, "real_page_table");
  in.has_out_slots = builds(e, "out_slots");
  in.max_keys = rows_of(e, "page_table_1_flattened");
  in.has_slots = in.has_out_slots || in.table_columns > 0 || in.page_columns > 0 || builds(e, "page_table_1_flattened");
  in.num_sms = builds(e, "paged_mqa_schedule") ? c.num_sms : 0;
  in.mqa_variant = c.mqa_variant;
  in.mqa_by_token = s.mqa_by_token;
  in.mqa_next_n = c.mqa_next_n;
  in.plan_rows = rows_of(e, "topk_plan");
  in.topk_plan_clusters = c.plan_clusters;
  in.topk_plan_threshold = s.plan_threshold;
  return in;
}

// What a tail holds behind rows that end with `last`.
std::optional<int32_t> tail_value(nsameta_tail tail, std::optional<int32_t> last) {
  switch (tail) {
    case NSAMETA_TAIL_KEEP: return {};
    case NSAMETA_TAIL_ZERO: return 0;
    case NSAMETA_TAIL_LAST: return last.value_or(0);
    case NSAMETA_TAIL_MINUS_ONE: return -1;
  }
  return {};
}

image image_of(const std::vector<int32_t>& values, const built_output& output, const explain_case& c,
               const explain_setting& s) {
  image cells(values.begin(), values.end());
  cells.resize(std::min(values.size(), output.cells.size()));
  const bool is_per_token = output.kind == output_kind::TOKEN || output.kind == output_kind::TOKEN_CU;
  const bool is_per_request = output.kind == output_kind::REQUEST || output.kind == output_kind::REQUEST_CU ||
                              output.kind == output_kind::REQUEST_ROW;
  const bool has_tail = is_per_token ? s.num_tokens > 0 : is_per_request && c.num_requests.has_value();
  const auto last = cells.empty() ? std::optional<int32_t>() : cells.back();
  cells.resize(output.cells.size(), has_tail ? tail_value(c.tail, last) : std::optional<int32_t>());
  return cells;
}

image image_of(int64_t scalar, const built_output&, const explain_case&, const explain_setting&) {
  return {static_cast<int32_t>(scalar)};
}

// A page table: rows of requests, once each or once for each of their tokens.
image image_of(const std::vector<std::vector<int32_t>>& rows, const built_output& output, const explain_case&,
               const explain_setting& s) {
  image cells(output.cells.size());
  size_t row = 0;
  for (size_t r = 0; r < rows.size(); ++r) {
    const int64_t count = s.tables_by_token ? s.q[r] : 1;
    for (int64_t j = 0; j < count; ++j, ++row) {
      const auto first = static_cast<std::ptrdiff_t>(row) * output.num_columns;
      std::copy(rows[r].begin(), rows[r].end(), cells.begin() + first);
    }
  }
  return cells;
}

std::string text_of(std::optional<int32_t> cell) { return cell ? std::to_string(*cell) : "untouched"; }

void add_mismatch(explanation* result, explain_mismatch what) {
  ++result->num_mismatches;
  if (result->mismatches.size() < kMaxMismatches) result->mismatches.push_back(std::move(what));
}

void compare(const built_output& output, const image& expected, explanation* result) {
  for (size_t i = 0; i < expected.size(); ++i) {
    ++result->num_cells;
    const auto got = output.is_written[i] ? std::optional<int32_t>(output.cells[i]) : std::optional<int32_t>();
    if (got == expected[i]) continue;
    add_mismatch(result, {output.name, static_cast<int64_t>(i), text_of(expected[i]), text_of(got)});
  }
}

// The CPU keeps the first fault; a GPU may keep any of them.
void compare_faults(const std::vector<reference::metadata_fault>& expected, explanation* result) {
  const auto& got = result->fault;
  const bool is_expected =
      expected.empty() ? got.check == NSAMETA_CHECK_NONE
                       : std::any_of(expected.begin(), expected.end(), [&](const reference::metadata_fault& f) {
                           return f.check == got.check && f.request_idx == got.request_idx && f.value == got.value;
                         });
  if (is_expected) return;
  add_mismatch(result,
               {"fault", 0, expected.empty() ? "NONE" : check_name(expected.front().check), check_name(got.check)});
}

}  // namespace

void compare_with_oracle(const explain_case& c, explanation* result) {
  const auto expected = reference::build_metadata(oracle_inputs(c, *result));
  const auto check = [&](const char* name, const auto& values) {
    const auto* output = result->find(name);
    if (output != nullptr) compare(*output, image_of(values, *output, c, result->setting), result);
  };
#define NSAMETA_OUTPUT(name, kind) check(#name, expected.name);
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  compare_faults(expected.faults, result);
}

}  // namespace nsameta::cli
