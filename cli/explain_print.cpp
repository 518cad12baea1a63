#include "cli/explain_print.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/device_choice.h"
#include "cli/replay.h"
#include "cli/text_table.h"

namespace nsameta::cli {
namespace {

using build_metadata::output_kind;

constexpr size_t kMaxRows = 40;        // of a table
constexpr int64_t kFirstColumns = 10;  // of a wide grid, before its middle is left out
constexpr int64_t kLastColumns = 4;
constexpr int64_t kSegmentKeys = 256;

int64_t true_batch(const explanation& e) { return static_cast<int64_t>(e.setting.kv.size()); }

std::vector<std::string> count_up(int64_t count) {
  std::vector<std::string> cells;
  for (int64_t i = 0; i < count; ++i) cells.push_back(std::to_string(i));
  return cells;
}

std::vector<std::string> texts(const std::vector<int32_t>& values) {
  std::vector<std::string> cells;
  for (const int32_t value : values) cells.push_back(std::to_string(value));
  return cells;
}

std::vector<std::string> column_texts(const built_output& output, int64_t column) {
  std::vector<std::string> cells;
  for (int64_t row = 0; row < output.num_rows; ++row) cells.push_back(output.text(row * output.width() + column));
  return cells;
}

void print_formulas(const explain_report& report, std::FILE* out) {
  const auto& c = *report.input;
  const auto& s = report.result->setting;
  const bool is_verify = c.mode == NSAMETA_MODE_TARGET_VERIFY;
  const int32_t n = c.mode == NSAMETA_MODE_DECODE ? 1 : c.tokens_per_request;
  fmt::print(out, "mode {}: {} requests, {} tokens; built by backend {} in {} memory\n\n", mode_name(c.mode),
             true_batch(*report.result), s.num_tokens, report.where->backend(), device_name(report.where->device()));
  fmt::print(out, "  kv[r] = seq_lens[r]{}    keys that request r has after this step\n",
             is_verify ? fmt::format(" + {}", n) : "");
  fmt::print(out, "  q[r]  = {}    query tokens of request r in this step; start = sum of q before r\n",
             n > 0 ? std::to_string(n) : "extend_seq_lens[r]");
  fmt::print(out, "  token j of request r:  visible = kv[r] - q[r] + 1 + j{}\n", s.clamp ? ", at least 0" : "");
  if (c.kpool == 1) {
    fmt::print(out, "  dsa(x) = min(x, {}) of x visible keys are read by the sparse kernel\n", c.topk);
  } else {
    fmt::print(out, "  dsa(x) = min(f, {}) + x - f,  f = x // {} * {},  of x visible keys are read\n", c.topk, c.kpool,
               c.kpool);
  }
}

bool is_per_request(const built_output& output) {
  return output.kind == output_kind::REQUEST || output.kind == output_kind::REQUEST_CU ||
         output.kind == output_kind::REQUEST_ROW;
}

bool is_per_token(const built_output& output) {
  return output.kind == output_kind::TOKEN || output.kind == output_kind::TOKEN_CU;
}

void print_requests(const explain_report& report, std::FILE* out) {
  const auto& e = *report.result;
  const auto batch = static_cast<int64_t>(report.input->seq_lens.size());
  text_table table;
  table.limit_rows(kMaxRows);
  table.add_column("r", count_up(batch));
  table.add_column("seq_lens", texts(report.input->seq_lens));
  if (!report.input->extend_seq_lens.empty()) {
    table.add_column("extend_seq_lens", texts(report.input->extend_seq_lens));
  }
  table.add_column("req_pool_indices", texts(e.setting.pool_rows));
  table.add_column("|", std::vector<std::string>(static_cast<size_t>(batch) + 1, "|"));
  table.add_column("kv", texts(e.setting.kv));
  table.add_column("q", texts(e.setting.q));
  table.add_column("start", texts(e.setting.start));
  if (std::any_of(e.outputs.begin(), e.outputs.end(), is_per_request)) {
    table.add_column("|", std::vector<std::string>(static_cast<size_t>(batch) + 1, "|"));
  }
  for (const auto& output : e.outputs) {
    if (!is_per_request(output)) continue;
    if (output.num_columns == 0) table.add_column(output.name, column_texts(output, 0));
    for (int64_t column = 0; column < std::min<int64_t>(output.num_columns, 8); ++column) {
      table.add_column(column == 0 ? output.name : fmt::format("[{}]", column), column_texts(output, column));
    }
  }
  fmt::print(out, "\nper request\n");
  table.print(out);
  if (const auto* total = e.find("total_tokens"); total != nullptr) {
    fmt::print(out, "  total_tokens = {}\n", total->text(0));
  }
}

// Whom each row of a per-token output belongs to.
void add_token_labels(const explanation& e, int64_t num_rows, text_table* table) {
  std::vector<std::string> requests;
  std::vector<std::string> positions;
  for (size_t r = 0; r < e.setting.q.size(); ++r) {
    for (int32_t j = 0; j < e.setting.q[r]; ++j) {
      requests.push_back(std::to_string(r));
      positions.push_back(std::to_string(j));
    }
  }
  requests.resize(static_cast<size_t>(num_rows), "-");
  positions.resize(static_cast<size_t>(num_rows), "-");
  table->add_column("t", count_up(num_rows));
  table->add_column("r", requests);
  table->add_column("j", positions);
}

void print_tokens(const explanation& e, std::FILE* out) {
  int64_t num_rows = 0;
  bool has_any = false;
  for (const auto& output : e.outputs) {
    if (!is_per_token(output)) continue;
    num_rows = std::max(num_rows, output.num_rows);
    has_any = true;
  }
  if (!has_any) return;
  text_table table;
  table.limit_rows(kMaxRows);
  add_token_labels(e, num_rows, &table);
  table.add_column("|", std::vector<std::string>(static_cast<size_t>(num_rows), "|"));
  for (const auto& output : e.outputs) {
    if (is_per_token(output)) table.add_column(output.name, column_texts(output, 0));
  }
  fmt::print(out, "\nper token\n");
  table.print(out);
}

// A page table as a grid. `keys` keys share a cell.
void print_grid(const explanation& e, const built_output& output, int64_t keys, const char* what, std::FILE* out) {
  const auto& s = e.setting;
  std::vector<size_t> owner;  // request of each row
  for (size_t r = 0; r < s.q.size(); ++r)
    owner.insert(owner.end(), s.tables_by_token ? static_cast<size_t>(s.q[r]) : 1, r);
  text_table table;
  table.limit_rows(kMaxRows);
  if (s.tables_by_token) {
    add_token_labels(e, output.num_rows, &table);
  } else {
    table.add_column("r", count_up(output.num_rows));
  }
  table.add_column("|", std::vector<std::string>(static_cast<size_t>(output.num_rows), "|"));
  const bool is_cut = output.num_columns > kFirstColumns + kLastColumns + 1;
  for (int64_t column = 0; column < output.num_columns; ++column) {
    if (is_cut && column == kFirstColumns) {
      table.add_column("...", std::vector<std::string>(static_cast<size_t>(output.num_rows), "..."));
      column = output.num_columns - kLastColumns;
    }
    auto cells = column_texts(output, column);
    for (size_t row = 0; row < std::min(cells.size(), owner.size()); ++row) {
      if (column * keys >= s.kv[owner[row]] && cells[row] != ".") cells[row] = "(" + cells[row] + ")";
    }
    table.add_column(std::to_string(column), std::move(cells));
  }
  fmt::print(out, "\n{}: {}; a row per {}\n", output.name, what, s.tables_by_token ? "token" : "request");
  table.print(out);
}

void print_tables(const explain_report& report, std::FILE* out) {
  const auto& e = *report.result;
  const int32_t page_size = report.input->page_size;
  if (const auto* table = e.find("page_table_1"); table != nullptr) {
    print_grid(e, *table, 1, "the slot of key c in column c", out);
  }
  if (const auto* table = e.find("real_page_table"); table != nullptr) {
    print_grid(e, *table, page_size,
               fmt::format("slot // {} of keys 0, {}, {}, ...", page_size, page_size, 2 * page_size).c_str(), out);
  }
  if (e.find("page_table_1") != nullptr || e.find("real_page_table") != nullptr) {
    fmt::print(out, "  .   not written: the cell keeps what it held      (x)  written, but behind the last key\n");
  }
}

void print_flattened(const explanation& e, std::FILE* out) {
  const auto* flattened = e.find("page_table_1_flattened");
  if (flattened == nullptr) return;
  fmt::print(out, "\npage_table_1_flattened: the slots of all keys, request after request\n");
  int64_t first = 0;
  for (size_t r = 0; r < e.setting.kv.size(); ++r) {
    const int64_t end = first + e.setting.kv[r];
    std::string line = fmt::format("  r {:<3} [{}, {})", r, first, end);
    for (int64_t i = first; i < end; ++i) {
      if (end - first > kFirstColumns + kLastColumns + 1 && i == first + kFirstColumns) {
        line += "  ...";
        i = end - kLastColumns;
      }
      line += "  " + flattened->text(i);
    }
    fmt::print(out, "{}\n", line);
    first = end;
  }
}

void print_schedule(const explain_report& report, std::FILE* out) {
  const auto& e = *report.result;
  const auto* schedule = e.find("paged_mqa_schedule");
  if (schedule == nullptr) return;
  const auto& s = e.setting;
  std::string segments;
  int64_t count = 0;
  int64_t sum = 0;
  for (size_t r = 0; r < s.kv.size(); ++r) {
    for (int64_t j = 0; j < (s.mqa_by_token ? s.q[r] : 1); ++j) {
      const int64_t visible = int64_t{s.kv[r]} - s.q[r] + 1 + j;
      const int64_t length = s.mqa_by_token ? std::max<int64_t>(visible, 0) : s.kv[r];
      const int64_t part = (length + kSegmentKeys - 1) / kSegmentKeys;
      if (count++ < kFirstColumns) segments += fmt::format(" {}", part);
      sum += part;
    }
  }
  fmt::print(out, "\npaged_mqa_schedule: where each multiprocessor begins, as (index of a length, segment in it)\n");
  fmt::print(out, "  lengths: {} of each {}; segments of {} keys:{}{}, {} in all\n", s.mqa_by_token ? "visible" : "kv",
             s.mqa_by_token ? "token" : "request", kSegmentKeys, segments, count > kFirstColumns ? " ..." : "", sum);
  text_table table;
  table.limit_rows(kMaxRows);
  auto labels = count_up(schedule->num_rows - 1);
  labels.emplace_back("end");
  table.add_column("sm", labels);
  table.add_column("index", column_texts(*schedule, 0));
  table.add_column("segment", column_texts(*schedule, 1));
  table.print(out);
}

void print_plan(const explain_report& report, std::FILE* out) {
  const auto* plan = report.result->find("topk_plan");
  if (plan == nullptr) return;
  fmt::print(out, "\ntopk_plan: tokens with more visible keys than the threshold\n");
  if (plan->text(0) == ".") {
    fmt::print(out, "  not written: that takes more than {} tokens and at most {}\n", report.input->plan_clusters,
               build_metadata::kMaxPlanTokens);
    return;
  }
  fmt::print(out, "  threshold {}, {} tokens\n", plan->text(0), plan->text(1));
  std::vector<std::string> tokens;
  std::vector<std::string> visible;
  for (int64_t row = 1; row < plan->num_rows && plan->text(row * 2) != "."; ++row) {
    tokens.push_back(plan->text(row * 2));
    visible.push_back(plan->text(row * 2 + 1));
  }
  if (tokens.empty()) return;
  text_table table;
  table.limit_rows(kMaxRows);
  table.add_column("t", std::move(tokens));
  table.add_column("visible", std::move(visible));
  table.print(out);
}

void print_verdict(const explanation& e, std::FILE* out) {
  if (e.fault.check != NSAMETA_CHECK_NONE) {
    fmt::print(out, "\nfault word: {}, request {}, value {}\n", check_name(e.fault.check), e.fault.request_idx,
               e.fault.value);
  }
  fmt::print(out, "\n");
  for (const auto& m : e.mismatches) {
    fmt::print(out, "MISMATCH {}[{}]: expected {}, got {}\n", m.output, m.index, m.expected, m.got);
  }
  fmt::print(out, "verified: {} cells of {} tensors against the oracle, {} mismatches\n", e.num_cells, e.outputs.size(),
             e.num_mismatches);
}

}  // namespace

void print_explanation(const explain_report& report, std::FILE* out) {
  print_formulas(report, out);
  print_requests(report, out);
  print_tokens(*report.result, out);
  print_tables(report, out);
  print_flattened(*report.result, out);
  print_schedule(report, out);
  print_plan(report, out);
  print_verdict(*report.result, out);
}

}  // namespace nsameta::cli
