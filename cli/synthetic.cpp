#include "cli/synthetic.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace nsameta::cli {
namespace {

constexpr double kZ90 = 1.2815515655446004;   // standard normal quantile of 0.90
constexpr double kZ999 = 3.0902323061678132;  // of 0.999

// Two quantiles determine a log-normal: its median, and the value at z standard deviations.
std::lognormal_distribution<double> fit_lognormal(double median, double value, double z) {
  return std::lognormal_distribution<double>(std::log(median), std::log(value / median) / z);
}

int32_t cut(double length, int32_t max) {
  return static_cast<int32_t>(std::clamp(std::round(length), 1.0, static_cast<double>(max)));
}

}  // namespace

trace make_synthetic_trace(int32_t num_requests, uint64_t seed) {
  std::mt19937_64 random(seed);
  auto prompt = fit_lognormal(kSyntheticPromptMedian, kSyntheticPromptP90, kZ90);
  // No other quantile of the outputs is published: the maximum stands for the 99.9th percentile.
  auto output = fit_lognormal(kSyntheticOutputMedian, kSyntheticOutputMax, kZ999);
  std::exponential_distribution<double> gap_s(kSyntheticRequestsPerSecond);
  trace result;
  result.name = "synthetic";
  result.requests.reserve(static_cast<size_t>(num_requests));
  double now_s = 0;
  for (int32_t i = 0; i < num_requests; ++i) {
    request r{};
    r.arrival_us = std::llround(now_s * 1e6);
    r.input_length = cut(prompt(random), kSyntheticPromptMax);
    r.output_length = cut(output(random), kSyntheticOutputMax);
    result.requests.push_back(r);
    now_s += gap_s(random);
  }
  return result;
}

}  // namespace nsameta::cli
