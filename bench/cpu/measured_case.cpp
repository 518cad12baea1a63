#include "bench/cpu/measured_case.h"

#include <fmt/format.h>

#include <chrono>

namespace nsameta::bench {
namespace {

// Below it a fill stays in the caches, which no output passes by.
constexpr double kLeastFillBytes = 4 << 20;

}  // namespace

measured_case::measured_case(const bench_case& c)
    : source_(make_source(cpu_context(), c)), set_(source_->next()), bytes_(source_->bytes()) {
  const variant usual = source_->variants().front();
  plan_ = std::make_unique<plan>(set_->make_plan(usual));
  if (usual.has_kv_bound) kv_bound_ = set_->kv_bound();
  run();
  const int64_t num_wrong = set_->num_wrong();
  if (num_wrong > 0) error_ = fmt::format("{} elements differ from the oracle", num_wrong);
  if (bytes_ < kLeastFillBytes) return;
  const auto count = static_cast<int64_t>(bytes_) / 4;
  filled_ = allocate_cells(count);
  fill_past_cache(filled_.get(), count);  // touches its pages
}

void measured_case::measure(benchmark::State& state) {
  if (filled_ != nullptr) {
    measure_beside_fill(state);
  } else {
    for (auto _ : state) run();
  }
  state.SetBytesProcessed(static_cast<int64_t>(bytes_) * static_cast<int64_t>(state.iterations()));
}

// By turns, as a neighbour on the machine slows down both.
void measured_case::measure_beside_fill(benchmark::State& state) {
  using clock = std::chrono::steady_clock;
  clock::duration of_runs{}, of_fills{};
  for (auto _ : state) {
    const auto begin = clock::now();
    run();
    const auto end = clock::now();
    state.PauseTiming();
    of_runs += end - begin;
    fill_past_cache(filled_.get(), static_cast<int64_t>(bytes_) / 4);
    of_fills += clock::now() - end;
    state.ResumeTiming();
  }
  using seconds = std::chrono::duration<double>;
  state.counters["share_of_fill"] = seconds(of_fills) / seconds(of_runs);
}

measured_case& measured(const bench_case& c) {
  static std::string name;
  static std::unique_ptr<measured_case> current;
  if (current == nullptr || name != c.name) {
    current.reset();  // before the next one takes memory
    current = std::make_unique<measured_case>(c);
    name = c.name;
  }
  return *current;
}

}  // namespace nsameta::bench
