#include <fmt/format.h>

#include "bench/cpu/benchmarks.h"
#include "bench/cpu/measured_case.h"
#include "bench/cpu/threads.h"

namespace nsameta::bench {
namespace {

bench_case scaling_case(int32_t batch, int32_t q) {
  bench_case c;
  c.group = "scaling";
  c.name = fmt::format("scaling/batch:{}/q:{}", batch, q);
  c.mode = NSAMETA_MODE_DRAFT_EXTEND;
  c.batch = batch;
  c.min_q = c.max_q = q;
  c.spread = 100'000;
  c.outputs = {"seqlens_expanded", "nsa_cache_seqlens"};
  return c;
}

// Page tables of a verify step, whose rows are copied.
bench_case table_case(int32_t batch, int64_t context) {
  for (const auto& c : all_cases()) {
    if (c.group == "verify" && c.batch == batch && c.context == context) return c;
  }
  return {};
}

void add_by_threads(const std::string& name, const bench_case& c) {
  for (const int num_threads : thread_counts()) {
    benchmark::RegisterBenchmark(fmt::format("{}/threads:{}", name, num_threads).c_str(), [c, num_threads](
                                                                                              benchmark::State& state) {
      measured_case& job = measured(c);
      if (!job.error().empty()) return fail(state, job.error());
      run_with_threads(num_threads, [&] { job.measure(state); });
    })->UseRealTime();
  }
}

}  // namespace

void register_scaling() {
  for (const int32_t q : {4, 256}) {
    for (const int32_t batch : {1, 32, 256, 4096, 65'536}) {
      const bench_case c = scaling_case(batch, q);
      add_by_threads(c.name, c);
    }
  }
  for (const auto& [batch, context] : {std::pair{32, 65'536}, std::pair{64, 131'072}}) {
    add_by_threads(fmt::format("scaling_tables/batch:{}/context:{}", batch, context), table_case(batch, context));
  }
}

}  // namespace nsameta::bench
