#include "bench/cpu/benchmarks.h"
#include "bench/workloads/workload.h"

namespace nsameta::bench {
namespace {

// The seed operation of 32 requests with 4 tokens: small enough for the call itself to show.
bench_case enqueued_case() {
  bench_case c;
  c.name = "enqueue/batch:32/q:4";
  c.mode = NSAMETA_MODE_DRAFT_EXTEND;
  c.batch = 32;
  c.min_q = c.max_q = 4;
  c.spread = 100'000;
  c.outputs = {"seqlens_expanded", "nsa_cache_seqlens"};
  return c;
}

void plan_run(benchmark::State& state) {
  const auto source = make_source(cpu_context(), enqueued_case());
  const auto set = source->next();
  const plan bound = set->make_plan(source->variants().front());
  for (auto _ : state) throw_on_failure(nsameta_plan_run(bound.get(), -1, -1, -1, nullptr));
  if (set->num_wrong() > 0) fail(state, "differs from the oracle");
}

void one_shot(benchmark::State& state) {
  const auto source = make_source(cpu_context(), enqueued_case());
  const auto set = source->next();
  for (auto _ : state) set->run_once(nullptr);
  if (set->num_wrong() > 0) fail(state, "differs from the oracle");
}

void plan_create(benchmark::State& state) {
  const auto source = make_source(cpu_context(), enqueued_case());
  const auto set = source->next();
  const variant usual = source->variants().front();
  for (auto _ : state) benchmark::DoNotOptimize(set->make_plan(usual));
}

}  // namespace

void register_enqueue() {
  benchmark::RegisterBenchmark("enqueue/plan_run", plan_run)->UseRealTime();
  benchmark::RegisterBenchmark("enqueue/one_shot", one_shot)->UseRealTime();
  benchmark::RegisterBenchmark("enqueue/plan_create", plan_create)->UseRealTime();
}

}  // namespace nsameta::bench
