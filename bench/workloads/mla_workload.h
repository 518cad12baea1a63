// Buffers of mla_schedule.
#pragma once

#include "bench/workloads/tensor_memory.h"
#include "bench/workloads/workload.h"
#include "reference/mla_schedule.h"

namespace nsameta::bench {

class mla_source final : public workload_source {
 public:
  mla_source(const context& owner, const bench_case& c);
  std::unique_ptr<workload> next() override;
  double bytes() const override;

 private:
  const context& owner_;
  reference::mla_inputs inputs_;
};

}  // namespace nsameta::bench
