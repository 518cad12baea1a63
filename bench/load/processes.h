// Fresh processes and what they say about their stages.
#pragma once

#include <string>
#include <vector>

#include "bench/load/stages.h"

namespace nsameta::bench {

struct spread {
  double median, min, max;  // us
};

class process_samples {
 public:
  // Starts the command, waits for it, and keeps what it prints; throws when it fails.
  void run(const std::vector<std::string>& command);

  const std::string& what_ran() const { return what_ran_; }
  std::size_t count() const { return times_.size(); }
  bool has(stage_index stage) const { return !times_.empty() && times_.front()[stage] >= 0; }
  // Of the sum of some stages.
  spread of(const std::vector<stage_index>& stages) const;

 private:
  std::string what_ran_;
  std::vector<std::vector<double>> times_;
};

}  // namespace nsameta::bench
