#include "cli/bench_case_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "cli/device_choice.h"
#include "cli/error.h"
#include "cli/options.h"
#include "cli/output_names.h"

namespace nsameta::cli {
namespace {

using bench::bench_case;

constexpr int32_t kMaxBatch = 65'536;
constexpr int32_t kMaxQuery = 65'536;
constexpr int64_t kMaxContext = 163'840;  // columns of the tables of all cases

// The group of cases that is taken for the operation and mode.
const char* group_of(const shape_arguments& shape) {
  switch (shape.op) {
    case NSAMETA_OP_COPY_METADATA: return "copy_pages";
    case NSAMETA_OP_MAP_TOPK_TO_SLOTS: return "topk_req_to_token";
    case NSAMETA_OP_MLA_SCHEDULE: return "mla_dense";
    case NSAMETA_OP_BUILD_METADATA: break;
  }
  switch (shape.mode) {
    case NSAMETA_MODE_DECODE: return "decode";
    case NSAMETA_MODE_TARGET_VERIFY: return "verify";
    case NSAMETA_MODE_DRAFT_EXTEND: return "draft_extend";
    case NSAMETA_MODE_EXTEND: break;
  }
  return "extend";
}

bench_case template_of(const std::string& group) {
  for (const auto& c : bench::all_cases()) {
    if (c.group == group) return c;
  }
  throw std::logic_error("cases.json has no group " + group);
}

void check_shape(const shape_arguments& shape, const bench_case& c) {
  if (shape.op == NSAMETA_OP_BUILD_METADATA && shape.mode == NSAMETA_MODE_DECODE && c.max_q != 1) {
    throw usage_error(fmt::format("--tokens-per-request={} must be 1 in --mode decode", c.max_q));
  }
  if (shape.mode == NSAMETA_MODE_EXTEND && 2 * int64_t{c.max_q} > c.context) {
    throw usage_error(fmt::format("--tokens-per-request={} must be at most half of --context={} in --mode extend",
                                  c.max_q, c.context));
  }
  if (shape.op != NSAMETA_OP_BUILD_METADATA && !shape.outputs.empty()) {
    throw usage_error("--outputs needs --op build_metadata");
  }
}

// Bytes of the tables, which are as wide as an engine's whatever the context.
double table_bytes(const bench_case& c) {
  const auto wants = [&](const char* output) {
    return std::find(c.outputs.begin(), c.outputs.end(), output) != c.outputs.end();
  };
  const bool by_token = c.mode == NSAMETA_MODE_TARGET_VERIFY || c.mode == NSAMETA_MODE_DRAFT_EXTEND;
  const double rows = (c.batch + 1.0) * (by_token ? c.max_q : 1);
  const auto width = static_cast<double>(bench::settings().table_width);
  double cells = 0;
  if (c.op == NSAMETA_OP_MAP_TOPK_TO_SLOTS) cells = (c.batch + 1.0) * static_cast<double>(c.context);
  if (c.op == NSAMETA_OP_COPY_METADATA) cells = rows * c.num_destinations * width / bench::settings().page_size;
  if (wants("page_table_1")) cells += rows * width;
  if (wants("real_page_table")) cells += rows * width / bench::settings().page_size;
  if (wants("page_table_1") || wants("real_page_table") || wants("out_slots") || wants("page_table_1_flattened")) {
    cells += (c.batch + 2.0) * width;
  }
  return 4 * cells;
}

double memory_bytes(nsameta_device device) {
  for (const auto& backend : backends()) {
    for (const auto& info : backend.devices) {
      if (info.device.type == device.type && info.device.id == device.id) return static_cast<double>(info.memory_bytes);
    }
  }
  return 0;
}

}  // namespace

void add_op_option(CLI::App* app, nsameta_op* op) {
  add_choice<nsameta_op>(app, "--op", *op,
                         {{"build_metadata", NSAMETA_OP_BUILD_METADATA},
                          {"copy_metadata", NSAMETA_OP_COPY_METADATA},
                          {"map_topk_to_slots", NSAMETA_OP_MAP_TOPK_TO_SLOTS},
                          {"mla_schedule", NSAMETA_OP_MLA_SCHEDULE}},
                         "Operation");
}

void add_shape_options(CLI::App* app, shape_arguments* shape) {
  add_choice<nsameta_mode>(app, "--mode", shape->mode,
                           {{"verify", NSAMETA_MODE_TARGET_VERIFY},
                            {"decode", NSAMETA_MODE_DECODE},
                            {"draft_extend", NSAMETA_MODE_DRAFT_EXTEND},
                            {"extend", NSAMETA_MODE_EXTEND}},
                           "Mode of build_metadata");
  add_number<int32_t>(app, "--batch", shape->batch, 1, kMaxBatch, "Requests");
  add_number<int64_t>(app, "--context", shape->context, 1, kMaxContext, "Keys of a request: uniform in [N/2, N)");
  add_number<int32_t>(app, "--tokens-per-request", shape->tokens_per_request, 1, kMaxQuery,
                      "Query tokens of a request. Without it: decode 1, extend\n1024 or half the context, else 4")
      ->default_str("");
  app->add_option("--outputs", shape->outputs, "Names of the outputs of build_metadata. Without it: those\nof the mode")
      ->type_name("A,B,...");
}

std::vector<bench_case> cases_of_shape(const shape_arguments& shape) {
  bench_case c = template_of(group_of(shape));
  c.batch = shape.batch;
  c.context = shape.context;
  c.prefix = -1;
  c.spread = c.long_context = 0;
  c.long_q = 0;
  if (shape.tokens_per_request > 0) {
    c.min_q = c.max_q = shape.tokens_per_request;
  } else if (shape.op == NSAMETA_OP_BUILD_METADATA && shape.mode == NSAMETA_MODE_EXTEND) {
    c.min_q = c.max_q = static_cast<int32_t>(std::clamp<int64_t>(shape.context / 2, 1, 1024));
  }
  if (!shape.outputs.empty()) c.outputs = parse_output_names(shape.outputs);
  check_shape(shape, c);
  c.name = fmt::format("{}/b{}_c{}_q{}", c.group, c.batch, c.context, c.max_q);
  return {c};
}

std::vector<bench_case> cases_named(const std::string& pattern, nsameta_op op) {
  std::vector<bench_case> found;
  try {
    const std::regex expression(pattern);
    for (const auto& c : bench::all_cases()) {
      if (c.op == op && std::regex_search(c.name, expression)) found.push_back(c);
    }
  } catch (const std::regex_error& e) {
    throw usage_error(fmt::format("--cases={} is not a regular expression: {}", pattern, e.what()));
  }
  if (found.empty()) {
    throw usage_error(fmt::format("--cases={} must match the name of a case of --op, such as verify/b32_c4K", pattern));
  }
  return found;
}

void check_memory(const session& on, const std::vector<bench_case>& cases) {
  constexpr double kGib = 1024.0 * 1024.0 * 1024.0;
  const double there = memory_bytes(on.device());
  for (const auto& c : cases) {
    const double needed = table_bytes(c);
    if (there == 0 || needed <= there / 2) continue;
    throw usage_error(
        fmt::format("case {}: its tables take {:.1f} GiB, which must be at most half of the {:.1f} GiB of {}", c.name,
                    needed / kGib, there / kGib, device_name(on.device())));
  }
}

runnable_case::runnable_case(const session& on, const bench_case& c, bool has_kv_bound) : on_(on), case_(c) {
  source_ = bench::make_source(on.context(), c);
  set_ = source_->next();
  const bench::variant usual = source_->variants().front();
  plan_.emplace(set_->make_plan(usual));
  if (has_kv_bound && usual.has_kv_bound) kv_bound_ = set_->kv_bound();
  bytes_ = source_->bytes();
}

void runnable_case::run(void* stream) { plan_->run(stream, -1, -1, kv_bound_); }

int64_t runnable_case::num_wrong() {
  set_->spoil();
  run(on_.stream().get());
  on_.stream().synchronize();
  return set_->num_wrong();
}

}  // namespace nsameta::cli
