// Buffers of map_topk_to_slots: top-k indices anywhere in the context of each token, in no order.
#pragma once

#include "bench/workloads/tensor_memory.h"
#include "bench/workloads/workload.h"
#include "reference/map_topk_to_slots.h"

namespace nsameta::bench {

class topk_source final : public workload_source {
 public:
  topk_source(const context& owner, const bench_case& c);
  std::unique_ptr<workload> next() override;
  double bytes() const override;

 private:
  const context& owner_;
  bench_case case_;
  int64_t num_tokens_;
  reference::topk_inputs inputs_;
};

}  // namespace nsameta::bench
