#include "bench/workloads/spread.h"

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <utility>

namespace nsameta::bench {

double median(std::vector<double> samples) { return summarise(std::move(samples)).median; }

spread summarise(std::vector<double> samples) {
  if (samples.empty()) throw std::invalid_argument("no samples");
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(samples.size() - 1);
    const auto below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, samples.size() - 1);
    return samples[below] + (place - static_cast<double>(below)) * (samples[above] - samples[below]);
  };
  return {at(0.5), at(0.25), at(0.75)};
}

}  // namespace nsameta::bench
