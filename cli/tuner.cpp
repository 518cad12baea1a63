#include "cli/tuner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "cli/launch_timer.h"

namespace nsameta::cli {
namespace {

// Less is not worth a value of its own, even where quartiles are closer than that.
constexpr double kLeastGain = 0.02;
constexpr double kLeastLoss = 0.01;

// Of all cases together: the mean of the logarithms of after / before, times their number.
double log_ratio(const trial& tried) {
  double sum = 0;
  for (const auto& c : tried.cases) sum += std::log(c.after.median / c.before.median);
  return sum;
}

effect outcome_of_all(const std::vector<comparison>& cases) {
  const auto any = [&](effect e) {
    return std::any_of(cases.begin(), cases.end(), [e](const comparison& c) { return c.outcome == e; });
  };
  if (any(effect::SLOWER)) return effect::SLOWER;
  if (any(effect::NOT_MEASURED)) return effect::NOT_MEASURED;
  if (any(effect::FASTER)) return effect::FASTER;
  return cases.empty() ? effect::NONE : effect::SAME;
}

}  // namespace

const char* name_of(effect e) {
  switch (e) {
    case effect::NONE: return "none";
    case effect::SAME: return "same";
    case effect::FASTER: return "faster";
    case effect::SLOWER: return "slower";
    case effect::NOT_MEASURED: break;
  }
  return "not_measured";
}

std::vector<int64_t> values_to_try(const nsameta_tunable& tunable) {
  const int64_t now = tunable.value;
  std::vector<int64_t> values;
  for (const int64_t wanted : {now / 2, now * 2, now / 4, now * 4}) {
    const int64_t value = std::clamp(wanted, tunable.least, tunable.most);
    if (value != now && std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
  }
  return values;
}

effect outcome_of(const bench::spread& before, const bench::spread& after) {
  if (after.high < before.low && after.median < (1 - kLeastGain) * before.median) return effect::FASTER;
  if (after.low > before.high && after.median > (1 + kLeastLoss) * before.median) return effect::SLOWER;
  return effect::SAME;
}

tuner::tuner(const session& on, std::vector<std::unique_ptr<runnable_case>>* cases, const tuner_limits& limits,
             say_fn say)
    : on_(on),
      cases_(*cases),
      limits_(limits),
      say_(std::move(say)),
      end_(clock::now() + std::chrono::duration_cast<clock::duration>(limits.time)) {}

void tuner::set(const std::string& name, int64_t value) const {
  throw_on_failure(nsameta_context_set_tunable(on_.context().get(), name.c_str(), value));
}

std::vector<tunable_result> tuner::run(nsameta_op op) {
  std::vector<tunable_result> results;
  for (const auto& tunable : on_.context().tunables()) {
    if (tunable.op == -1 || tunable.op == op) results.push_back({tunable, tunable.value, {}});
  }
  for (size_t i = 0; i < results.size(); ++i) {
    share_ = static_cast<double>(i) / static_cast<double>(results.size());
    try_values(&results[i]);
  }
  return results;
}

void tuner::try_values(tunable_result* result) {
  const std::string name = result->tunable.name;
  double best = 0;
  for (const int64_t value : values_to_try(result->tunable)) {
    auto& tried = result->trials.emplace_back();
    tried.value = value;
    try_value(result->tunable, &tried);
    if (tried.outcome == effect::FASTER) {
      // Of many values that change nothing, noise makes one look faster now and then, but seldom twice.
      trial again;
      again.value = value;
      try_value(result->tunable, &again);
      if (again.outcome != effect::FASTER) tried.outcome = again.outcome;
    }
    if (tried.outcome != effect::FASTER || log_ratio(tried) >= best) continue;
    best = log_ratio(tried);
    result->chosen = value;
  }
  set(name, result->chosen);
}

void tuner::try_value(const nsameta_tunable& tunable, trial* tried) {
  const std::string name = tunable.name;
  for (const auto& job : cases_) {
    set(name, tunable.value);
    const auto before = job->explain().launch;
    set(name, tried->value);
    const bool is_changed = job->explain().launch != before;
    set(name, tunable.value);
    if (!is_changed) continue;
    auto& compared = tried->cases.emplace_back();
    compared = {job->name(), {}, {}, effect::NOT_MEASURED};
    if (is_over()) continue;
    say_(fmt::format("{} {} -> {}: {}", name, tunable.value, tried->value, job->name()), share_);
    compared = compare(job.get(), [&] { set(name, tunable.value); }, [&] { set(name, tried->value); });
    if (compared.outcome == effect::SLOWER) break;  // that is enough to reject it
  }
  set(name, tunable.value);
  tried->outcome = outcome_of_all(tried->cases);
}

// Both on the same buffers, by turns.
comparison tuner::compare(runnable_case* job, const std::function<void()>& set_before,
                          const std::function<void()>& set_after) {
  set_after();
  if (const int64_t num_wrong = job->num_wrong(); num_wrong > 0) {
    throw wrong_output(fmt::format("{}: {} elements differ from the oracle", job->name(), num_wrong));
  }
  const auto launch = [job](void* stream) { job->run(stream); };
  launch_timer after(on_, launch);
  set_before();
  launch_timer before(on_, launch);
  std::vector<double> before_us, after_us;
  for (int i = 0; i < limits_.num_repetitions; ++i) {
    set_before();
    before_us.push_back(before.sample_us());
    set_after();
    after_us.push_back(after.sample_us());
  }
  comparison made{job->name(), bench::summarise(std::move(before_us)), bench::summarise(std::move(after_us)),
                  effect::SAME};
  made.outcome = outcome_of(made.before, made.after);
  return made;
}

std::vector<comparison> tuner::compare_all(const std::vector<tunable_result>& results) {
  const auto set_defaults = [&] {
    for (const auto& r : results) set(r.tunable.name, r.tunable.default_value);
  };
  const auto set_chosen = [&] {
    for (const auto& r : results) set(r.tunable.name, r.chosen);
  };
  std::vector<comparison> compared;
  for (const auto& job : cases_) {
    set_defaults();
    const auto usual = job->explain().launch;
    set_chosen();
    if (job->explain().launch == usual) continue;
    say_("before and after: " + job->name(), 1);
    compared.push_back(compare(job.get(), set_defaults, set_chosen));
  }
  return compared;
}

}  // namespace nsameta::cli
