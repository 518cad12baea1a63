#include "bench/workloads/topk_workload.h"

#include <algorithm>
#include <stdexcept>

namespace nsameta::bench {
namespace {

std::vector<int32_t> narrow(const std::vector<int64_t>& values) {
  std::vector<int32_t> cells;
  cells.reserve(values.size());
  for (const int64_t value : values) cells.push_back(static_cast<int32_t>(value));
  return cells;
}

class topk_workload final : public workload {
 public:
  topk_workload(const context& owner, const reference::topk_inputs& inputs, int64_t num_tokens)
      : owner_(owner), inputs_(inputs), num_tokens_(num_tokens), memory_(owner) {
    const auto table = memory_.upload_rows(narrow(inputs.table), inputs.table_columns);
    if (inputs.kind == reference::slot_table::page_table) {
      args_.page_table = table;
    } else {
      args_.req_to_token = table;
      args_.req_pool_indices = memory_.upload(inputs.req_pool_indices);
      args_.token_to_batch = memory_.upload(inputs.token_to_batch);
    }
    args_.topk_indices = memory_.upload_rows(narrow(inputs.topk_indices), inputs.num_topk);
    args_.slots = memory_.rows(num_tokens, inputs.num_topk);
  }

  plan make_plan(const variant&) const override { return {owner_, args_}; }
  void run_once(void* stream) const override { owner_.map_topk_to_slots(args_, stream); }
  void spoil() override { memory_.spoil(args_.slots); }
  int64_t num_wrong() const override {
    return memory_.num_wrong(args_.slots, 0, reference::map_topk_to_slots(inputs_, num_tokens_).slots);
  }

 private:
  const context& owner_;
  const reference::topk_inputs& inputs_;
  int64_t num_tokens_;
  tensor_memory memory_;
  map_topk_to_slots_args args_;
};

}  // namespace

topk_source::topk_source(const context& owner, const bench_case& c)
    : owner_(owner), case_(c), num_tokens_(int64_t{c.batch} * c.max_q) {
  if (c.table != "req_to_token" && c.table != "page_table") {
    throw std::invalid_argument("cases.json: table=" + c.table + " must be req_to_token or page_table");
  }
  auto& in = inputs_;
  in.kind = c.table == "page_table" ? reference::slot_table::page_table : reference::slot_table::req_to_token;
  in.num_topk = settings().topk;
  in.table_columns = c.context;
  in.table_rows = in.kind == reference::slot_table::page_table ? num_tokens_ : int64_t{c.batch} + 1;
  in.table.resize(static_cast<size_t>(in.table_rows * in.table_columns));
  uint32_t place = 0;
  for (int64_t& slot : in.table) slot = scattered(0, 1 << 26, place++, 3);
  for (int32_t r = 0; r < c.batch; ++r) in.req_pool_indices.push_back(c.batch - r);
  for (int64_t t = 0; t < num_tokens_; ++t) {
    in.token_to_batch.push_back(t / c.max_q);
    const int64_t visible = scattered(c.context / 2, c.context, static_cast<uint32_t>(t), 2);
    for (int64_t i = 0; i < in.num_topk; ++i) {
      in.topk_indices.push_back(scattered(0, visible, static_cast<uint32_t>(t * in.num_topk + i), 5));
    }
  }
}

std::unique_ptr<workload> topk_source::next() { return std::make_unique<topk_workload>(owner_, inputs_, num_tokens_); }

double topk_source::bytes() const {
  std::vector<int64_t> sectors;
  sectors.reserve(inputs_.topk_indices.size());
  constexpr int64_t kSectorCells = kSectorBytes / 4;
  const auto num_topk = static_cast<size_t>(inputs_.num_topk);
  for (size_t i = 0; i < inputs_.topk_indices.size(); ++i) {
    const size_t token = i / num_topk;
    const int64_t row =
        inputs_.kind == reference::slot_table::page_table ? static_cast<int64_t>(token) : inputs_.token_to_batch[token];
    sectors.push_back(row * (inputs_.table_columns / kSectorCells) + inputs_.topk_indices[i] / kSectorCells);
  }
  std::sort(sectors.begin(), sectors.end());
  const auto num_sectors = std::unique(sectors.begin(), sectors.end()) - sectors.begin();
  return static_cast<double>(static_cast<int64_t>(inputs_.topk_indices.size()) * 8 + num_sectors * kSectorBytes);
}

}  // namespace nsameta::bench
