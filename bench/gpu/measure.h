// Measures one case: a row for each way to run it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/gpu/timing.h"
#include "bench/workloads/workload.h"

namespace nsameta::bench {

// What this machine can do, in the same run.
struct baseline {
  spread copy_bytes_per_us;
  spread empty_graph_us;
  spread empty_call_ns;
};

struct row {
  bench_case source;
  std::string variant;
  spread graph_us;
  std::optional<spread> cold_us;
  spread call_ns;
  spread one_shot_ns;
  spread empty_call_ns;  // of an empty kernel, beside the calls
  int num_launches = 0;
  double bytes = 0;
  double floor_us = 0;
  int64_t num_wrong = 0;
  std::string error;  // what stopped the measurement; the figures mean nothing then
};

struct measure_options {
  int num_repetitions = 5;
  int num_calls = 400;  // timed calls of the host in a repetition
  bool has_cold = true;
};

baseline measure_baseline(timer* on, const measure_options& options);
// Never throws: a case that fails is a row that says so.
std::vector<row> measure_case(timer* on, const context& owner, const bench_case& c, const baseline& limits,
                              const measure_options& options);

}  // namespace nsameta::bench
