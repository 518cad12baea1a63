#include "bench/cpu/benchmarks.h"
#include "bench/cpu/measured_case.h"

namespace nsameta::bench {

void register_cases() {
  for (const auto& c : all_cases()) {
    benchmark::RegisterBenchmark(c.name.c_str(), [c](benchmark::State& state) {
      measured_case& job = measured(c);
      if (!job.error().empty()) return fail(state, job.error());
      job.measure(state);
    })->UseRealTime();
  }
}

}  // namespace nsameta::bench
