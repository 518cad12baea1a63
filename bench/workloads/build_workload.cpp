#include "bench/workloads/build_workload.h"

#include <algorithm>
#include <string_view>

#include "core/ops/build_metadata.h"

namespace nsameta::bench {
namespace {

using nsameta::build_metadata::output_kind;
using reference::metadata;

// Sets of buffers that share rows begin this many columns apart, or a multiple: 512 bytes of page entries.
constexpr int64_t kColumnStep = 8192;

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

// Cells of an output but for tables, whose rows are counted one by one.
int64_t num_cells_of(const std::vector<int32_t>& values) { return static_cast<int64_t>(values.size()); }
int64_t num_cells_of(int64_t) { return 1; }
int64_t num_cells_of(const std::vector<std::vector<int32_t>>&) { return 0; }

}  // namespace

class build_workload final : public workload {
 public:
  explicit build_workload(build_source* source) : source_(*source), memory_(source->owner_) {
    args_ = source->next_args(&memory_, &inputs_);
#define NSAMETA_OUTPUT(name, kind) \
  if (source->wants(#name)) args_.out.name = next_output(source, #name, output_kind::kind);
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  }

  plan make_plan(const variant& way) const override {
    nsameta_build_metadata_args args = args_;
    args.programmatic_launch = way.is_programmatic ? 1 : 0;
    return {source_.owner_, args};
  }
  void run_once(void* stream) const override { source_.owner_.build_metadata(args_, stream); }
  int64_t kv_bound() const override { return source_.kv_bound_; }

  void spoil() override {
    const int64_t live = source_.num_live_;
    if (args_.out.page_table_1.data != nullptr) memory_.spoil(args_.out.page_table_1, live);
    if (args_.out.real_page_table.data != nullptr) {
      memory_.spoil(args_.out.real_page_table, live / settings().page_size);
    }
#define NSAMETA_OUTPUT(name, kind) \
  if (output_kind::kind != output_kind::TABLE && args_.out.name.data != nullptr) memory_.spoil(args_.out.name);
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  }

  int64_t num_wrong() const override {
    const metadata expected = reference::build_metadata(inputs_);
    int64_t wrong = 0;
#define NSAMETA_OUTPUT(name, kind) \
  if (args_.out.name.data != nullptr) wrong += num_wrong_cells(args_.out.name, expected.name);
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
    return wrong;
  }

 private:
  nsameta_tensor next_output(build_source* source, std::string_view name, output_kind kind) {
    const int64_t batch = source->case_.batch, num_tokens = source->num_tokens_;
    switch (kind) {
      case output_kind::TOKEN: return memory_.vector(num_tokens);
      case output_kind::TOKEN_CU: return memory_.vector(num_tokens + 1);
      case output_kind::REQUEST: return memory_.vector(batch);
      case output_kind::REQUEST_CU: return memory_.vector(batch + 1);
      case output_kind::REQUEST_ROW: return memory_.rows(batch, source->case_.max_q);
      case output_kind::SCALAR: return memory_.vector(1);
      case output_kind::KEY: return memory_.vector(source->num_keys_);
      case output_kind::SCHEDULE: return memory_.rows(settings().num_sms + 1, 2);
      case output_kind::PLAN: return memory_.rows(num_tokens + 1, 2);
      case output_kind::TABLE: break;
    }
    return (name == "page_table_1" ? source->wide_tables_ : source->page_tables_)->next().tensor;
  }

  using rows = std::vector<std::vector<int32_t>>;

  int64_t num_wrong_cells(const nsameta_tensor& made, const std::vector<int32_t>& expected) const {
    return memory_.num_wrong(made, 0, expected);
  }
  int64_t num_wrong_cells(const nsameta_tensor& made, int64_t expected) const {
    return num_wrong_cells(made, std::vector{static_cast<int32_t>(expected)});
  }
  int64_t num_wrong_cells(const nsameta_tensor& made, const rows& expected) const {
    int64_t wrong = 0;
    int64_t row = 0;
    for (size_t r = 0; r < expected.size(); ++r) {
      const int64_t num_rows = source_.num_table_rows(r);
      for (int64_t i = 0; i < num_rows; ++i) wrong += memory_.num_wrong(made, made.strides[0] * row++, expected[r]);
    }
    return wrong;
  }

  const build_source& source_;
  tensor_memory memory_;
  nsameta_build_metadata_args args_{};
  reference::metadata_inputs inputs_;
};

build_source::build_source(const context& owner, const bench_case& c) : owner_(owner), case_(c) {
  auto& in = inputs_;
  in.mode = c.mode;
  in.topk = settings().topk;
  in.kpool = c.kpool;
  in.clamp = c.is_clamped;
  in.extend_seq_lens = query_lens(c);
  in.seq_lens = seq_lens(c, in.extend_seq_lens);
  const int64_t added = c.mode == NSAMETA_MODE_TARGET_VERIFY ? c.max_q : 0;
  for (size_t r = 0; r < in.seq_lens.size(); ++r) {
    num_tokens_ += in.extend_seq_lens[r];
    num_keys_ += in.seq_lens[r] + added;
    kv_bound_ = std::max(kv_bound_, in.seq_lens[r] + added);
  }
  if (c.context > 0) kv_bound_ = std::max(kv_bound_, c.context + added);
  if (c.has_constant_q && c.mode != NSAMETA_MODE_DECODE) in.tokens_per_request = c.max_q;
  if (c.has_constant_q) in.extend_seq_lens.clear();
  in.page_size = settings().page_size;
  in.mqa_variant = NSAMETA_MQA_SM90_JUN26;
  in.mqa_by_token = c.mode == NSAMETA_MODE_TARGET_VERIFY || c.mode == NSAMETA_MODE_DRAFT_EXTEND;
  if (wants("paged_mqa_schedule")) in.num_sms = settings().num_sms;
  if (wants("paged_mqa_ctx_lens_2d")) in.ctx_lens_columns = c.max_q;
  in.has_out_slots = wants("out_slots");
  if (wants("page_table_1")) in.table_columns = settings().table_width;
  if (wants("real_page_table")) in.page_columns = settings().table_width / settings().page_size;
  if (wants("page_table_1_flattened")) in.max_keys = num_keys_;
  in.has_slots = in.has_out_slots || in.table_columns > 0 || in.page_columns > 0 || in.max_keys > 0;
  if (in.has_slots) make_pool();
}

bool build_source::wants(const char* output) const {
  return std::find(case_.outputs.begin(), case_.outputs.end(), output) != case_.outputs.end();
}

int64_t build_source::num_table_rows(size_t request) const {
  if (case_.mode == NSAMETA_MODE_DECODE || case_.mode == NSAMETA_MODE_EXTEND) return 1;
  return case_.has_constant_q ? case_.max_q : inputs_.extend_seq_lens[request];
}

// Request r has row batch - r; row 0 is nobody's. Pages lie anywhere, the slots of a page one after the other.
void build_source::make_pool() {
  const int64_t width = settings().table_width, page_size = settings().page_size;
  num_live_ = std::min(round_up(kv_bound_, kColumnStep), width);
  inputs_.pool_rows = case_.batch + 1;
  inputs_.max_context = width;
  for (int32_t r = 0; r < case_.batch; ++r) inputs_.req_pool_indices.push_back(case_.batch - r);
  slots_.resize(static_cast<size_t>((inputs_.pool_rows + 1) * width));
  for (size_t i = 0; i < slots_.size(); ++i) {
    const auto page = static_cast<uint32_t>(i / static_cast<size_t>(page_size));
    const auto place = static_cast<int32_t>(i % static_cast<size_t>(page_size));
    slots_[i] = static_cast<int32_t>(scattered(0, 1 << 20, page, 3) * page_size) + place;
  }
  inputs_.req_to_token = slots_.data();
  pools_.emplace(owner_, inputs_.pool_rows, width, num_live_);
  int64_t num_rows = 0;
  for (size_t r = 0; r < inputs_.seq_lens.size(); ++r) num_rows += num_table_rows(r);
  wide_tables_.emplace(owner_, num_rows, width, num_live_);
  page_tables_.emplace(owner_, num_rows, width / page_size, num_live_ / page_size);
}

nsameta_build_metadata_args build_source::next_args(tensor_memory* memory, reference::metadata_inputs* inputs) {
  *inputs = inputs_;
  build_metadata_args args;
  args.mode = case_.mode;
  args.tokens_per_request = inputs_.tokens_per_request;
  args.topk = inputs_.topk;
  args.kpool = inputs_.kpool;
  args.clamp = case_.is_clamped ? NSAMETA_CLAMP_ON : NSAMETA_CLAMP_OFF;
  args.page_size = inputs_.page_size;
  args.mqa_variant = inputs_.mqa_variant;
  args.seq_lens = memory->upload(inputs_.seq_lens);
  if (!case_.has_constant_q) args.extend_seq_lens = memory->upload(inputs_.extend_seq_lens);
  if (inputs_.has_slots) {
    const shared_rows::view pool = pools_->next(slots_);
    args.req_to_token = pool.tensor;
    args.req_pool_indices = memory->upload(inputs_.req_pool_indices);
    inputs->req_to_token = slots_.data() + pool.first_column;
  }
  return args;
}

std::unique_ptr<workload> build_source::next() { return std::make_unique<build_workload>(this); }

double build_source::bytes() const {
  const metadata m = reference::build_metadata(inputs_);
  const int64_t batch = case_.batch;
  int64_t num_cells = batch * (1 + (case_.has_constant_q ? 0 : 1) + (inputs_.has_slots ? 1 : 0));
#define NSAMETA_OUTPUT(name, kind) \
  if (wants(#name)) num_cells += num_cells_of(m.name);
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  int64_t num_sectors = 0;
  for (size_t r = 0; r < inputs_.seq_lens.size(); ++r) {
    const int64_t wide = inputs_.table_columns > 0 ? num_cells_of(m.page_table_1[r]) : 0;
    const int64_t pages = inputs_.page_columns > 0 ? num_cells_of(m.real_page_table[r]) : 0;
    num_cells += num_table_rows(r) * (wide + pages);
    // Slots are read once: all of them for a table with all, else one a page and those of the new tokens.
    if (inputs_.table_columns > 0 || inputs_.max_keys > 0) {
      num_cells += inputs_.table_columns > 0 ? wide : m.cache_seqlens[r];
    } else {
      num_sectors += pages;
      if (inputs_.has_out_slots) num_cells += m.cu_seqlens_q[r + 1] - m.cu_seqlens_q[r];
    }
  }
  return static_cast<double>(num_cells * 4 + num_sectors * kSectorBytes);
}

std::vector<variant> build_source::variants() const {
  if (!inputs_.has_slots && inputs_.num_sms == 0) return {{"plain"}, {"programmatic", false, true}};
  return {{"plain", true}, {"programmatic", true, true}, {"no bound"}};
}

}  // namespace nsameta::bench
