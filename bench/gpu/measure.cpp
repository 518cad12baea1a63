#include "bench/gpu/measure.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <memory>

#include "bench/gpu/kernels.h"

namespace nsameta::bench {
namespace {

constexpr int kNumCounted = 100;  // launches of a graph that count: events resolve 0.5 us
constexpr int kNumCountedLong = 20;
constexpr double kLongUs = 20;
constexpr double kColdFactor = 3;  // L2 sizes that other sets touch before one comes again

const launch_fn kEmpty = [](int, cudaStream_t on) { require(launch_empty(on), "empty kernel"); };

template <typename Sample>
spread repeat(int num_repetitions, const Sample& sample) {
  std::vector<double> samples;
  for (int i = 0; i < num_repetitions; ++i) samples.push_back(sample());
  return summarise(std::move(samples));
}

// One way to run a case, with a plan for each set of buffers.
class timed_variant {
 public:
  timed_variant(timer* on, const std::vector<std::unique_ptr<workload>>& sets, variant way)
      : timer_(*on), way_(std::move(way)), sets_(sets) {
    for (const auto& set : sets) plans_.push_back(set->make_plan(way_));
    hot_ = [this](int, cudaStream_t stream) { run(0, stream); };
    cold_ = [this](int copy_idx, cudaStream_t stream) { run(static_cast<size_t>(copy_idx) % plans_.size(), stream); };
    one_shot_ = [this](int, cudaStream_t stream) { sets_.front()->run_once(stream); };
  }
  timed_variant(const timed_variant&) = delete;
  timed_variant& operator=(const timed_variant&) = delete;

  // Runs every set once; elements that are wrong afterwards, of the first and the last set.
  int64_t num_wrong() {
    require(cudaDeviceSynchronize(), "preparation");  // which ran on another stream
    for (size_t set = 0; set < plans_.size(); ++set) run(set, timer_.stream());
    require(cudaStreamSynchronize(timer_.stream()), "first run");
    return sets_.front()->num_wrong() + (sets_.size() > 1 ? sets_.back()->num_wrong() : 0);
  }

  void measure(const measure_options& options, const baseline& limits, double bytes, row* result) {
    const double least_us = bytes / limits.copy_bytes_per_us.median;
    const int num_counted = least_us > kLongUs ? kNumCountedLong : kNumCounted;
    result->num_launches = timer_.num_kernels(hot_);
    std::vector<double> graph, cold, call, one_shot, empty;
    for (int i = 0; i < options.num_repetitions; ++i) {
      graph.push_back(timer_.graph_us(hot_, num_counted));
      if (options.has_cold) cold.push_back(timer_.cold_graph_us(cold_, kNumCountedLong));
      empty.push_back(timer_.call_ns(kEmpty, options.num_calls));
      call.push_back(timer_.call_ns(hot_, options.num_calls));
      one_shot.push_back(timer_.call_ns(one_shot_, options.num_calls));
    }
    result->graph_us = summarise(graph);
    if (options.has_cold) result->cold_us = summarise(cold);
    result->call_ns = summarise(call);
    result->one_shot_ns = summarise(one_shot);
    result->empty_call_ns = summarise(empty);
  }

 private:
  void run(size_t set, cudaStream_t stream) {
    plans_[set].run(stream, -1, -1, way_.has_kv_bound ? sets_[set]->kv_bound() : -1);
  }

  timer& timer_;
  variant way_;
  const std::vector<std::unique_ptr<workload>>& sets_;
  std::vector<plan> plans_;
  launch_fn hot_, cold_, one_shot_;
};

// As many sets as exceed L2 before the first comes again, but no more than a graph has launches.
int num_cold_sets(double bytes, const cudaDeviceProp& properties) {
  const double others = kColdFactor * static_cast<double>(properties.l2CacheSize) / bytes;
  return static_cast<int>(std::min(std::ceil(others) + 1, kNumCountedLong + 2.0));
}

}  // namespace

baseline measure_baseline(timer* on, const measure_options& options) {
  baseline limits;
  const int n = options.num_repetitions;
  limits.copy_bytes_per_us = repeat(n, [&] { return on->copy_bandwidth(); });
  limits.empty_graph_us = repeat(n, [&] { return on->graph_us(kEmpty, kNumCounted); });
  limits.empty_call_ns = repeat(n, [&] { return on->call_ns(kEmpty, options.num_calls); });
  return limits;
}

std::vector<row> measure_case(timer* on, const context& owner, const bench_case& c, const baseline& limits,
                              const measure_options& options) {
  std::vector<row> rows;
  row common;
  common.source = c;
  try {
    const auto source = make_source(owner, c);
    common.bytes = source->bytes();
    common.floor_us = common.bytes / limits.copy_bytes_per_us.median + limits.empty_graph_us.median;
    std::vector<std::unique_ptr<workload>> sets;
    const int num_sets = options.has_cold ? num_cold_sets(common.bytes, on->properties()) : 1;
    for (int i = 0; i < num_sets; ++i) sets.push_back(source->next());
    for (const auto& way : source->variants()) {
      rows.push_back(common);
      row& result = rows.back();
      result.variant = way.name;
      timed_variant timed(on, sets, way);
      result.num_wrong = timed.num_wrong();
      timed.measure(options, limits, common.bytes, &result);
    }
  } catch (const std::exception& e) {
    if (rows.empty()) rows.push_back(common);
    rows.back().error = e.what();
  }
  return rows;
}

}  // namespace nsameta::bench
