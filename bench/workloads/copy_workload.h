// Buffers of copy_metadata: the metadata of a target verify step, copied to every backend of a multi-step draft.
#pragma once

#include "bench/workloads/tensor_memory.h"
#include "bench/workloads/workload.h"

namespace nsameta::bench {

class copy_source final : public workload_source {
 public:
  copy_source(const context& owner, const bench_case& c) : owner_(owner), case_(c) {}
  std::unique_ptr<workload> next() override;
  double bytes() const override;

 private:
  const context& owner_;
  bench_case case_;
};

}  // namespace nsameta::bench
