// Looks for values of tunables that are faster than the defaults on some cases and slower on none.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/workloads/spread.h"
#include "cli/bench_case_choice.h"

namespace nsameta::cli {

// What a value does, to a case or altogether.
enum class effect {
  NONE,          // the launch stays as it is: nothing to measure
  SAME,          // within the noise
  FASTER,        // beyond the noise; altogether: on a case, and slower on none
  SLOWER,        // beyond the noise on a case
  NOT_MEASURED,  // no time was left
};
const char* name_of(effect e);

struct comparison {
  std::string case_name;
  bench::spread before;  // us
  bench::spread after;
  effect outcome = effect::SAME;
};

struct trial {
  int64_t value = 0;
  effect outcome = effect::NONE;
  std::vector<comparison> cases;  // whose launch the value changes
};

struct tunable_result {
  nsameta_tunable tunable{};
  int64_t chosen = 0;  // the default where no value is better
  std::vector<trial> trials;
  bool is_changed() const { return chosen != tunable.default_value; }
};

struct tuner_limits {
  std::chrono::duration<double> time{300};
  int num_repetitions = 9;
};

class tuner {
 public:
  // Cases in the session's memory; both outlive this. say(what is done, and the share of all work) shows progress.
  using say_fn = std::function<void(const std::string& what, double share)>;
  tuner(const session& on, std::vector<std::unique_ptr<runnable_case>>* cases, const tuner_limits& limits, say_fn say);

  // One tunable after the other, each with the values chosen so far. Throws wrong_output where an output changes.
  std::vector<tunable_result> run(nsameta_op op);
  // Default values against the chosen ones, on the cases whose launch they change.
  std::vector<comparison> compare_all(const std::vector<tunable_result>& results);

 private:
  using clock = std::chrono::steady_clock;

  void try_values(tunable_result* result);
  void try_value(const nsameta_tunable& tunable, trial* tried);
  comparison compare(runnable_case* job, const std::function<void()>& set_before,
                     const std::function<void()>& set_after);
  void set(const std::string& name, int64_t value) const;
  bool is_over() const { return clock::now() >= end_; }

  const session& on_;
  std::vector<std::unique_ptr<runnable_case>>& cases_;
  tuner_limits limits_;
  say_fn say_;
  clock::time_point end_;
  double share_ = 0;
};

// Values to try instead of the present one: half, twice, a fourth, four times, within the range.
std::vector<int64_t> values_to_try(const nsameta_tunable& tunable);
// What two spreads mean.
effect outcome_of(const bench::spread& before, const bench::spread& after);

struct wrong_output : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace nsameta::cli
