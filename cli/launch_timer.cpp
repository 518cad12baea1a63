#include "cli/launch_timer.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "bench/workloads/spread.h"

namespace nsameta::cli {
namespace {

// Long enough for a synchronisation, which varies by some microseconds, not to show.
constexpr double kGraphUs = 1000;
constexpr double kCallsUs = 500;
constexpr int64_t kMaxLaunches = 500;
constexpr int kExtraReplays = 2;
constexpr int kPairs = 3;

int64_t launches_of(double all_us, double one_us, int64_t least) {
  return std::clamp(static_cast<int64_t>(all_us / std::max(one_us, 0.01)), least, kMaxLaunches);
}

}  // namespace

launch_timer::launch_timer(const session& on, launch_fn launch) : on_(on), launch_(std::move(launch)) {
  if (!uses_graphs(on)) {
    calls_us(2);  // caches and clocks take some to settle
    num_launches_ = launches_of(kCallsUs, calls_us(3) / 3, 1);
    return;
  }
  constexpr int64_t kPilot = 10;
  const auto pilot = capture(kPilot);
  replays_us(*pilot, 1);
  num_launches_ = launches_of(kGraphUs, slope_us(*pilot, kPilot), 3);
  graph_ = capture(num_launches_);
  replays_us(*graph_, 1);
}

double launch_timer::sample_us() {
  if (graph_ == nullptr) return calls_us(num_launches_) / static_cast<double>(num_launches_);
  std::vector<double> slopes;
  for (int i = 0; i < kPairs; ++i) slopes.push_back(slope_us(*graph_, num_launches_));
  return bench::median(std::move(slopes));
}

std::unique_ptr<graph> launch_timer::capture(int64_t num_launches) const {
  return std::make_unique<graph>(on_.context(), on_.stream(), [&] {
    for (int64_t i = 0; i < num_launches; ++i) launch_(on_.stream().get());
  });
}

double launch_timer::replays_us(const graph& of, int num_replays) const {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < num_replays; ++i) of.launch(on_.stream());
  on_.stream().synchronize();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
}

double launch_timer::slope_us(const graph& of, int64_t num_launches) const {
  const double one = replays_us(of, 1);
  const double more = replays_us(of, 1 + kExtraReplays);
  return (more - one) / static_cast<double>(kExtraReplays * num_launches);
}

double launch_timer::calls_us(int64_t num_calls) const {
  const auto begin = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < num_calls; ++i) launch_(on_.stream().get());
  on_.stream().synchronize();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace nsameta::cli
