// Measured values, kept one by one so that percentiles are exact.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace nsameta::cli {

class samples {
 public:
  void add(int64_t value) { values_.push_back(value); }
  size_t count() const { return values_.size(); }

  // Smallest value that at least the share p in (0, 1] of all values does not exceed; 0 when there is none.
  int64_t percentile(double p) const {
    if (values_.empty()) return 0;
    const auto count = static_cast<double>(values_.size());
    const auto rank = static_cast<size_t>(std::clamp(std::ceil(p * count) - 1, 0.0, count - 1));
    auto sorted = values_;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(rank), sorted.end());
    return sorted[rank];
  }

 private:
  std::vector<int64_t> values_;
};

}  // namespace nsameta::cli
