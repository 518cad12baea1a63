#include "bench/workloads/mla_workload.h"

namespace nsameta::bench {
namespace {

class mla_workload final : public workload {
 public:
  mla_workload(const context& owner, const reference::mla_inputs& inputs)
      : owner_(owner), inputs_(inputs), memory_(owner) {
    args_.topk = inputs.topk;
    args_.batch = static_cast<int32_t>(inputs.seq_lens.size());
    args_.seq_lens = memory_.upload(inputs.seq_lens);
    args_.parts = memory_.rows(inputs.num_parts, 8);
    args_.num_splits = memory_.vector(args_.batch + 1);
  }

  plan make_plan(const variant&) const override { return {owner_, args_}; }
  void run_once(void* stream) const override { owner_.mla_schedule(args_, stream); }

  void spoil() override {
    memory_.spoil(args_.parts);
    memory_.spoil(args_.num_splits);
  }

  int64_t num_wrong() const override {
    const auto expected = reference::build_mla_schedule(inputs_);
    int64_t wrong = memory_.num_wrong(args_.num_splits, 0, expected.num_splits);
    for (size_t part = 0; part < expected.parts.size(); ++part) {
      const std::span<const int32_t> words(expected.parts[part].data(), static_cast<size_t>(expected.num_words));
      wrong += memory_.num_wrong(args_.parts, static_cast<int64_t>(part) * 8, words);
    }
    return wrong;
  }

 private:
  const context& owner_;
  const reference::mla_inputs& inputs_;
  tensor_memory memory_;
  mla_schedule_args args_;
};

}  // namespace

mla_source::mla_source(const context& owner, const bench_case& c) : owner_(owner) {
  inputs_.seq_lens = seq_lens(c, query_lens(c));
  inputs_.num_parts = c.num_parts;
  inputs_.topk = c.sparse_topk;
}

std::unique_ptr<workload> mla_source::next() { return std::make_unique<mla_workload>(owner_, inputs_); }

double mla_source::bytes() const {
  const auto batch = static_cast<int64_t>(inputs_.seq_lens.size());
  const int64_t num_read = inputs_.topk > 0 ? 0 : batch;
  return static_cast<double>((num_read + int64_t{inputs_.num_parts} * 8 + batch + 1) * 4);
}

}  // namespace nsameta::bench
