#include "cli/explain.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

#include "cli/rounding.h"

namespace nsameta::cli {
namespace {

using build_metadata::kNumOutputs;
using build_metadata::output_kind;

constexpr int32_t kTailPadding = 3;
constexpr uint32_t kSeed = 7;
// Two builds into memory that held something else each time show which cells are written.
constexpr int32_t kPoisons[] = {0x5A5A5A5A, 0x25A5A5A5};

int64_t constant_width(const explain_case& c) {
  return c.mode == NSAMETA_MODE_DECODE ? 1 : c.tokens_per_request;  // 0: ragged
}

// The pages of all rows in an order that looks random and is the same everywhere.
void fill_req_to_token(int32_t page_size, explain_setting* s) {
  std::vector<int32_t> pages(static_cast<size_t>(s->max_context / page_size * s->num_pool_rows));
  std::iota(pages.begin(), pages.end(), 0);
  std::mt19937 random(kSeed);
  for (size_t left = pages.size(); left > 1; --left) std::swap(pages[left - 1], pages[random() % left]);
  s->req_to_token.reserve(pages.size() * static_cast<size_t>(page_size));
  for (const int32_t page : pages) {
    for (int32_t i = 0; i < page_size; ++i) s->req_to_token.push_back(page * page_size + i);
  }
}

void choose_pool(const explain_case& c, explain_setting* s) {
  const auto batch = static_cast<int32_t>(c.seq_lens.size());
  s->table_columns = c.table_columns > 0 ? c.table_columns : s->max_kv + 2;
  s->max_context = c.max_context > 0 ? c.max_context : std::max(s->max_kv + 2, s->table_columns);
  s->max_context = round_up(s->max_context, c.page_size);
  s->num_pool_rows = batch + 2;
  if (s->num_pool_rows % 3 == 0) ++s->num_pool_rows;
  s->pool_rows = c.pool_rows;
  if (!s->pool_rows.empty()) return;
  for (int64_t r = 0; r < batch; ++r) s->pool_rows.push_back(static_cast<int32_t>((r * 3 + 2) % s->num_pool_rows));
}

struct output_shape {
  int64_t num_rows;
  int64_t num_columns;
};

output_shape shape_of(const std::string& name, output_kind kind, const explain_case& c, const explain_setting& s) {
  const auto batch = static_cast<int64_t>(c.seq_lens.size());
  const int64_t width = constant_width(c);
  const bool is_paged = name == "real_page_table";
  switch (kind) {
    case output_kind::TOKEN: return {s.max_tokens, 0};
    case output_kind::TOKEN_CU: return {s.max_tokens + 1, 0};
    case output_kind::REQUEST: return {batch, 0};
    case output_kind::REQUEST_CU: return {batch + 1, 0};
    case output_kind::REQUEST_ROW: return {batch, std::max<int64_t>(width, 1)};
    case output_kind::SCALAR: return {1, 0};
    case output_kind::KEY: return {s.num_keys, 0};
    case output_kind::TABLE:
      return {s.tables_by_token ? s.max_tokens : batch,
              is_paged ? round_up(s.table_columns, c.page_size) / c.page_size : s.table_columns};
    case output_kind::SCHEDULE: return {int64_t{c.num_sms} + 1, 2};
    case output_kind::PLAN: return {s.max_tokens + 1, 2};
  }
  return {0, 0};
}

bool is_wanted(const std::string& name, const explain_case& c) {
  if (name == "real_page_table" && c.page_size == 1) return false;
  return c.outputs.empty() || std::find(c.outputs.begin(), c.outputs.end(), name) != c.outputs.end();
}

std::vector<built_output> shape_outputs(const explain_case& c, const explain_setting& s) {
  std::vector<built_output> outputs;
  const auto add = [&](const char* name, output_kind kind) {
    if (!is_wanted(name, c)) return;
    const auto shape = shape_of(name, kind, c, s);
    outputs.push_back({name, kind, shape.num_rows, shape.num_columns, {}, {}});
    outputs.back().cells.resize(static_cast<size_t>(shape.num_rows * outputs.back().width()));
  };
#define NSAMETA_OUTPUT(name, kind) add(#name, output_kind::kind);
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  return outputs;
}

// The inputs and outputs of one build in the memory of the session's device.
class explain_memory {
 public:
  explain_memory(const session& where, size_t num_cells)
      : where_(where), cells_(where.context(), std::max<size_t>(num_cells, 1) * sizeof(int32_t)) {}

  // A place for `values`, which are copied there.
  int32_t* put(const std::vector<int32_t>& values) {
    int32_t* place = cells_.as<int32_t>() + used_;
    used_ += values.size();
    if (!values.empty()) where_.copy_to_device(place, values.data(), values.size() * sizeof(int32_t));
    return place;
  }
  void get(const int32_t* place, std::vector<int32_t>* values) const {
    if (!values->empty()) where_.copy_to_host(values->data(), place, values->size() * sizeof(int32_t));
  }

 private:
  const session& where_;
  device_buffer cells_;
  size_t used_ = 0;
};

void set_options(const explain_case& c, const explain_setting& s, build_metadata_args* args) {
  args->mode = c.mode;
  args->tokens_per_request = c.tokens_per_request;
  args->topk = c.topk;
  args->kpool = c.kpool;
  args->clamp = c.clamp;
  args->tail = c.tail;
  args->page_size = c.page_size;
  args->table_width = c.table_width;
  args->table_rows = c.table_rows;
  args->mqa_variant = c.mqa_variant;
  args->mqa_lengths = c.mqa_lengths;
  args->mqa_next_n = c.mqa_next_n;
  args->topk_plan_clusters = c.plan_clusters;
  args->topk_plan_threshold = s.plan_threshold;
}

// Builds once into memory that holds `poison`, and returns each output's cells.
std::vector<std::vector<int32_t>> build_once(const explain_case& c, const explanation& e, const session& where,
                                             int32_t poison) {
  const auto& s = e.setting;
  size_t num_cells = c.seq_lens.size() * 3 + 1 + s.req_to_token.size();
  for (const auto& output : e.outputs) num_cells += output.cells.size();
  explain_memory memory(where, num_cells);
  build_metadata_args args;
  set_options(c, s, &args);
  const auto device = where.device();
  const auto bind = [&](const std::vector<int32_t>& values) {
    return make_tensor(memory.put(values), values.size(), device);
  };
  args.seq_lens = bind(c.seq_lens);
  if (!c.extend_seq_lens.empty()) args.extend_seq_lens = bind(c.extend_seq_lens);
  if (c.num_requests) args.num_requests = bind({*c.num_requests});
  args.req_pool_indices = bind(s.pool_rows);
  args.req_to_token = make_tensor_2d(memory.put(s.req_to_token), static_cast<size_t>(s.num_pool_rows),
                                     static_cast<size_t>(s.max_context), s.max_context, device);

  std::vector<int32_t*> places;
  std::vector<std::vector<int32_t>> cells;
  auto output = e.outputs.begin();
  const auto bind_output = [&](const char* name, nsameta_tensor* tensor) {
    if (output == e.outputs.end() || std::string(name) != output->name) return;
    cells.emplace_back(output->cells.size(), poison);
    places.push_back(memory.put(cells.back()));
    const auto rows = static_cast<size_t>(output->num_rows);
    const auto columns = static_cast<size_t>(output->num_columns);
    *tensor = columns == 0 ? make_tensor(places.back(), rows, device)
                           : make_tensor_2d(places.back(), rows, columns, output->num_columns, device);
    ++output;
  };
#define NSAMETA_OUTPUT(name, kind) bind_output(#name, &args.out.name);
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  where.context().build_metadata(args, where.stream().get());
  where.context().synchronize(where.stream().get());
  for (size_t i = 0; i < places.size(); ++i) memory.get(places[i], &cells[i]);
  return cells;
}

}  // namespace

explain_setting make_setting(const explain_case& c) {
  explain_setting s;
  const auto batch = static_cast<int32_t>(c.seq_lens.size());
  const int32_t true_batch = std::clamp(c.num_requests.value_or(batch), 0, batch);
  const bool is_speculative = c.mode == NSAMETA_MODE_TARGET_VERIFY || c.mode == NSAMETA_MODE_DRAFT_EXTEND;
  const auto width = static_cast<int32_t>(constant_width(c));
  s.start.push_back(0);
  for (int32_t r = 0; r < batch; ++r) {
    const auto idx = static_cast<size_t>(r);
    const int32_t kv = c.seq_lens[idx] + (c.mode == NSAMETA_MODE_TARGET_VERIFY ? c.tokens_per_request : 0);
    const int32_t q = std::max(width > 0 ? width : c.extend_seq_lens[idx], 0);
    s.max_tokens += q;
    if (r >= true_batch) continue;
    s.kv.push_back(std::max(kv, 0));
    s.q.push_back(q);
    s.start.push_back(s.start.back() + q);
    s.max_kv = std::max<int64_t>(s.max_kv, kv);
    s.num_keys += s.kv.back();
  }
  s.num_tokens = s.start.back();
  s.max_tokens += c.padding >= 0 ? c.padding : c.tail != NSAMETA_TAIL_KEEP && !c.num_requests ? kTailPadding : 0;
  s.clamp = c.clamp == NSAMETA_CLAMP_DEFAULT ? c.mode == NSAMETA_MODE_DRAFT_EXTEND : c.clamp == NSAMETA_CLAMP_ON;
  s.tables_by_token =
      c.table_rows == NSAMETA_TABLE_ROWS_DEFAULT ? is_speculative : c.table_rows == NSAMETA_TABLE_ROWS_PER_TOKEN;
  s.mqa_by_token =
      c.mqa_lengths == NSAMETA_MQA_LENGTHS_DEFAULT ? is_speculative : c.mqa_lengths == NSAMETA_MQA_LENGTHS_VISIBLE;
  s.plan_threshold = c.plan_threshold.value_or(c.topk);
  choose_pool(c, &s);
  fill_req_to_token(c.page_size, &s);
  return s;
}

std::string built_output::text(int64_t idx) const {
  if (!has(idx)) return "";
  return is_written[static_cast<size_t>(idx)] ? std::to_string(cells[static_cast<size_t>(idx)]) : ".";
}

const built_output* explanation::find(const std::string& name) const {
  for (const auto& output : outputs) {
    if (output.name == name) return &output;
  }
  return nullptr;
}

explanation explain(const explain_case& c, session& where) {
  explanation result{make_setting(c), {}, {}, 0, 0, {}};
  result.outputs = shape_outputs(c, result.setting);
  const auto first = build_once(c, result, where, kPoisons[0]);
  const auto second = build_once(c, result, where, kPoisons[1]);
  for (size_t i = 0; i < first.size(); ++i) {
    auto& output = result.outputs[i];
    output.cells = first[i];
    for (size_t cell = 0; cell < first[i].size(); ++cell) {
      output.is_written.push_back(first[i][cell] != kPoisons[0] || second[i][cell] != kPoisons[1]);
    }
  }
  result.fault = where.context().fault();
  compare_with_oracle(c, &result);
  return result;
}

const char* check_name(int32_t check) {
  switch (check) {
    case NSAMETA_CHECK_NONE: return "NONE";
    case NSAMETA_CHECK_TOKENS_OVER_CAPACITY: return "TOKENS_OVER_CAPACITY";
    case NSAMETA_CHECK_NEGATIVE_KV: return "NEGATIVE_KV";
    case NSAMETA_CHECK_NEGATIVE_QUERY: return "NEGATIVE_QUERY";
    case NSAMETA_CHECK_POOL_ROW: return "POOL_ROW";
    case NSAMETA_CHECK_KV_OVER_CONTEXT: return "KV_OVER_CONTEXT";
    case NSAMETA_CHECK_KEYS_OVER_CAPACITY: return "KEYS_OVER_CAPACITY";
    case NSAMETA_CHECK_NUM_REQUESTS: return "NUM_REQUESTS";
    default: return "?";
  }
}

}  // namespace nsameta::cli
