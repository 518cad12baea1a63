#include "cli/explain_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <numeric>

#include "cli/device_choice.h"
#include "cli/error.h"
#include "cli/explain_print.h"
#include "cli/options.h"
#include "cli/output_names.h"

namespace nsameta::cli {
namespace {

// What still fits on a screen, more or less.
constexpr size_t kMaxBatch = 64;
constexpr int32_t kMaxKv = 4096;
constexpr int64_t kMaxTokens = 512;

[[noreturn]] void refuse(const std::string& what) { throw usage_error(what); }

int32_t parse_number(const char* name, const std::string& text, int32_t low, int32_t high) {
  int32_t value = 0;
  const char* end = text.data() + text.size();
  const auto [parsed, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || parsed != end || text.empty())
    refuse(fmt::format("{}: '{}' must be a number", name, text));
  if (value < low || value > high) refuse(fmt::format("{}: {} must be in [{}, {}]", name, value, low, high));
  return value;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size() && !text.empty();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::vector<int32_t> parse_numbers(const char* name, const std::string& text, int32_t low, int32_t high) {
  std::vector<int32_t> values;
  for (const auto& part : split(text)) values.push_back(parse_number(name, part, low, high));
  return values;
}

void check_query(const explain_case& c) {
  const bool is_constant = c.mode == NSAMETA_MODE_DECODE || c.mode == NSAMETA_MODE_TARGET_VERIFY;
  if (is_constant && !c.extend_seq_lens.empty()) refuse("--extend needs --mode draft_extend or extend");
  if (c.mode == NSAMETA_MODE_DECODE && c.tokens_per_request > 1) {
    refuse(fmt::format("--tokens-per-request={} must be 1 in --mode decode", c.tokens_per_request));
  }
  if (c.mode == NSAMETA_MODE_TARGET_VERIFY && c.tokens_per_request == 0) {
    refuse("--mode verify needs --tokens-per-request");
  }
  if (is_constant) return;
  if (c.extend_seq_lens.empty() == (c.tokens_per_request == 0)) {
    refuse("--mode draft_extend and extend need one of --extend and --tokens-per-request");
  }
  if (c.tokens_per_request == 0 && c.extend_seq_lens.size() != c.seq_lens.size()) {
    refuse(fmt::format("--extend has {} lengths, must be {}: as many as --seq-lens", c.extend_seq_lens.size(),
                       c.seq_lens.size()));
  }
}

void check_case(const explain_case& c) {
  if (c.seq_lens.empty()) refuse("--seq-lens must name at least one length");
  if (c.seq_lens.size() > kMaxBatch) {
    refuse(fmt::format("--seq-lens has {} lengths, must be at most {}", c.seq_lens.size(), kMaxBatch));
  }
  check_query(c);
  int64_t num_tokens = int64_t{c.tokens_per_request} * static_cast<int64_t>(c.seq_lens.size());
  for (const int32_t q : c.extend_seq_lens) num_tokens += std::max(q, 0);
  if (num_tokens > kMaxTokens) refuse(fmt::format("{} query tokens must be at most {}", num_tokens, kMaxTokens));
  if (!c.pool_rows.empty() && c.pool_rows.size() != c.seq_lens.size()) {
    refuse(fmt::format("--pool-rows has {} rows, must be {}: as many as --seq-lens", c.pool_rows.size(),
                       c.seq_lens.size()));
  }
  if (!std::has_single_bit(static_cast<uint32_t>(c.page_size))) {
    refuse(fmt::format("--page-size={} must be a power of two", c.page_size));
  }
  if (c.page_size == 1 && c.outputs.size() == 1 && c.outputs.front() == "real_page_table") {
    refuse("--page-size=1 has no real_page_table: page_table_1 is the table of slots");
  }
  if (make_setting(c).mqa_by_token && c.mqa_next_n != 1) {
    refuse(
        fmt::format("--next-n={} must be 1 where the schedule is made from one length per token; "
                    "--mqa-lengths kv takes one per request",
                    c.mqa_next_n));
  }
}

explain_case parse(const explain_arguments& arguments) {
  explain_case c = arguments.input;
  c.seq_lens = parse_numbers("--seq-lens", arguments.seq_lens, -kMaxKv, kMaxKv);
  c.extend_seq_lens = parse_numbers("--extend", arguments.extend, -kMaxKv, static_cast<int32_t>(kMaxTokens));
  c.pool_rows = parse_numbers("--pool-rows", arguments.pool_rows, -1000, 1000);
  c.outputs = parse_output_names(arguments.outputs);
  if (!arguments.num_requests.empty()) {
    c.num_requests = parse_number("--num-requests", arguments.num_requests, -1000, 1000);
  }
  if (!arguments.plan_threshold.empty()) {
    c.plan_threshold = parse_number("--plan-threshold", arguments.plan_threshold, -1, INT32_MAX);
  }
  check_case(c);
  return c;
}

void add_batch_options(CLI::App* explain, explain_arguments* arguments) {
  auto& c = arguments->input;
  add_choice<nsameta_mode>(explain, "--mode", c.mode,
                           {{"decode", NSAMETA_MODE_DECODE},
                            {"verify", NSAMETA_MODE_TARGET_VERIFY},
                            {"draft_extend", NSAMETA_MODE_DRAFT_EXTEND},
                            {"extend", NSAMETA_MODE_EXTEND}},
                           "Kind of step");
  explain->add_option("--seq-lens", arguments->seq_lens, "Lengths of the requests, e.g. 10,4")
      ->type_name("N,N,...")
      ->required();
  explain->add_option("--extend", arguments->extend, "Query tokens of each request")->type_name("N,N,...");
  add_number<int32_t>(explain, "--tokens-per-request", c.tokens_per_request, 1, 64,
                      "Query tokens of every request, instead of --extend")
      ->default_str("");
  explain
      ->add_option("--num-requests", arguments->num_requests,
                   "True batch, as the device knows it; later requests do\nnot exist")
      ->type_name("N");
  explain->add_option("--pool-rows", arguments->pool_rows, "Row of each request in req_to_token. Without it: chosen")
      ->type_name("N,N,...");
  add_number<int64_t>(explain, "--max-context", c.max_context, 1, 2 * kMaxKv,
                      "Columns of req_to_token. Without it: as needed")
      ->default_str("");
}

void add_value_options(CLI::App* explain, explain_case* c) {
  add_number<int32_t>(explain, "--topk", c->topk, 1, INT32_MAX, "Keys that sparse attention reads of each context");
  add_number<int32_t>(explain, "--kpool", c->kpool, 1, INT32_MAX, "Pool size of the pooled indexer; 1: off");
  add_choice<nsameta_clamp>(explain, "--clamp", c->clamp,
                            {{"default", NSAMETA_CLAMP_DEFAULT}, {"on", NSAMETA_CLAMP_ON}, {"off", NSAMETA_CLAMP_OFF}},
                            "Whether visible is at least 0; default: in draft_extend");
  add_choice<nsameta_tail>(explain, "--tail", c->tail,
                           {{"keep", NSAMETA_TAIL_KEEP},
                            {"zero", NSAMETA_TAIL_ZERO},
                            {"last", NSAMETA_TAIL_LAST},
                            {"minus_one", NSAMETA_TAIL_MINUS_ONE}},
                           "What arrays hold beyond the tokens that exist");
  add_number<int32_t>(explain, "--padding", c->padding, 0, 64, "Elements of per-token arrays beyond the tokens")
      ->default_str("");
}

void add_table_options(CLI::App* explain, explain_case* c) {
  add_number<int32_t>(explain, "--page-size", c->page_size, 1, 256, "Tokens of a KV page; 1: no real_page_table");
  add_choice<nsameta_table_width>(
      explain, "--table-width", c->table_width,
      {{"live_128", NSAMETA_TABLE_LIVE_128}, {"full", NSAMETA_TABLE_FULL}, {"exact", NSAMETA_TABLE_EXACT}},
      "Columns of a table's row that are written: up to kv, rounded up to\n128; all; or up to kv");
  add_number<int64_t>(explain, "--table-columns", c->table_columns, 1, 2 * kMaxKv,
                      "Columns of page_table_1. Without it: as needed")
      ->default_str("");
  add_choice<nsameta_table_rows>(explain, "--rows", c->table_rows,
                                 {{"default", NSAMETA_TABLE_ROWS_DEFAULT},
                                  {"request", NSAMETA_TABLE_ROWS_PER_REQUEST},
                                  {"token", NSAMETA_TABLE_ROWS_PER_TOKEN}},
                                 "Table rows; default: as the mode says");
}

void add_schedule_options(CLI::App* explain, explain_arguments* arguments) {
  auto& c = arguments->input;
  add_number<int32_t>(explain, "--num-sms", c.num_sms, 1, NSAMETA_MAX_SMS, "Multiprocessors of the schedule");
  add_choice<nsameta_mqa_variant>(explain, "--mqa-variant", c.mqa_variant,
                                  {{"v1", NSAMETA_MQA_V1},
                                   {"apr26", NSAMETA_MQA_APR26},
                                   {"sm90_jun26", NSAMETA_MQA_SM90_JUN26},
                                   {"sm100_jun26", NSAMETA_MQA_SM100_JUN26}},
                                  "Rule of the schedule");
  add_choice<nsameta_mqa_lengths>(explain, "--mqa-lengths", c.mqa_lengths,
                                  {{"default", NSAMETA_MQA_LENGTHS_DEFAULT},
                                   {"kv", NSAMETA_MQA_LENGTHS_KV},
                                   {"visible", NSAMETA_MQA_LENGTHS_VISIBLE}},
                                  "Lengths of the schedule; default: as the mode says");
  add_number<int32_t>(explain, "--next-n", c.mqa_next_n, 1, 64, "next_n of the schedule's rule");
  add_number<int32_t>(explain, "--plan-clusters", c.plan_clusters, 0, 512,
                      "topk_plan is written for more tokens than this");
  explain
      ->add_option("--plan-threshold", arguments->plan_threshold,
                   "Visible keys above which a token is in topk_plan; -1: by\nSGLang's rule. Without it: topk")
      ->type_name("N");
}

}  // namespace

CLI::App* add_explain_command(CLI::App& app, explain_arguments* arguments) {
  auto* explain = app.add_subcommand("explain", "Builds all tensors of a small batch, checks and shows them");
  add_batch_options(explain, arguments);
  add_value_options(explain, &arguments->input);
  add_table_options(explain, &arguments->input);
  add_schedule_options(explain, arguments);
  explain->add_option("--outputs", arguments->outputs, "Names of the tensors to build. Without it: all")
      ->type_name("A,B,...");
  explain->add_option("--backend", arguments->backend, "Backend that builds")->type_name("auto|cpu|cuda|hip");
  explain->add_flag("--json", arguments->as_json, "As JSON; null where a cell is not written");
  return explain;
}

int run_explain_command(const explain_arguments& arguments) {
  const explain_case c = parse(arguments);
  session where(default_device(arguments.backend), arguments.backend);
  const auto result = explain(c, where);
  const explain_report report{&c, &result, &where};
  if (arguments.as_json) {
    fmt::print("{}\n", to_json(report).dump());
  } else {
    print_explanation(report, stdout);
  }
  return result.num_mismatches > 0 ? kExitMismatch : kExitOk;
}

}  // namespace nsameta::cli
