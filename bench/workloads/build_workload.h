// Buffers of build_metadata.
#pragma once

#include <optional>

#include "bench/workloads/tensor_memory.h"
#include "bench/workloads/workload.h"
#include "reference/build_metadata.h"

namespace nsameta::bench {

class build_source final : public workload_source {
 public:
  build_source(const context& owner, const bench_case& c);

  std::unique_ptr<workload> next() override;
  double bytes() const override;
  std::vector<variant> variants() const override;

 private:
  friend class build_workload;

  bool wants(const char* output) const;
  int64_t num_table_rows(size_t request) const;
  void make_pool();
  // The args of the next set but for its outputs.
  nsameta_build_metadata_args next_args(tensor_memory* memory, reference::metadata_inputs* inputs);

  const context& owner_;
  bench_case case_;
  reference::metadata_inputs inputs_;  // of the first set
  int64_t num_tokens_ = 0;
  int64_t num_keys_ = 0;
  int64_t kv_bound_ = -1;
  int64_t num_live_ = 0;        // columns of page_table_1 that a set may write
  std::vector<int32_t> slots_;  // req_to_token and a row more
  std::optional<shared_rows> pools_;
  std::optional<shared_rows> wide_tables_;
  std::optional<shared_rows> page_tables_;
};

}  // namespace nsameta::bench
