// A case on the CPU, run through a plan, set against a plain fill of as many bytes.
#pragma once

#include <memory>

#include "bench/cpu/benchmarks.h"
#include "bench/cpu/fill.h"
#include "bench/workloads/workload.h"

namespace nsameta::bench {

class measured_case {
 public:
  explicit measured_case(const bench_case& c);

  // "" or what is wrong with its result.
  const std::string& error() const { return error_; }
  // The loop of a benchmark. Bytes are those read and written; share_of_fill is the time of a fill of as many bytes,
  // beside each run of a large case, over that of the run.
  void measure(benchmark::State& state);

 private:
  void run() { plan_->run(nullptr, -1, -1, kv_bound_); }
  void measure_beside_fill(benchmark::State& state);

  std::unique_ptr<workload_source> source_;
  std::unique_ptr<workload> set_;
  std::unique_ptr<plan> plan_;
  int64_t kv_bound_ = -1;
  double bytes_;
  cells filled_;
  std::string error_;
};

// The same one as long as the name stays: Google Benchmark calls a benchmark several times.
measured_case& measured(const bench_case& c);

}  // namespace nsameta::bench
