// How far a long run is: a bar on a terminal, a line now and then otherwise. Goes to standard error.
#pragma once

#include <chrono>
#include <cstdint>

namespace nsameta::cli {

class progress {
 public:
  progress();
  ~progress() { clear(); }
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;

  // Cheap enough for every step: looks at the clock every so many calls. `done` is a share in [0, 1].
  void update(double done, int64_t num_steps, int64_t simulated_us) {
    if ((++num_calls_ & 63) == 0) show(done, num_steps, simulated_us);
  }
  // Removes the bar.
  void clear();

 private:
  using clock = std::chrono::steady_clock;

  void show(double done, int64_t num_steps, int64_t simulated_us);

  bool is_terminal_;
  bool is_bar_shown_ = false;
  int64_t num_calls_ = 0;
  clock::time_point start_ = clock::now();
  clock::time_point last_shown_ = start_;
};

}  // namespace nsameta::cli
