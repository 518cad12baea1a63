#include "tests/fuzz/job.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <sstream>
#include <thread>
#include <vector>

#include "tests/fuzz/machine.h"
#include "tests/fuzz/reproducer.h"

namespace nsameta::fuzz {
namespace {

void store(const std::string& text, char (&to)[kTextBytes]) {
  const size_t bytes = std::min(text.size(), kTextBytes - 1);
  std::memcpy(to, text.data(), bytes);
  to[bytes] = '\0';
}

void introduce(const machine& m, worker_state* state) {
  std::string names;
  for (const auto& name : m.names()) names += (names.empty() ? "" : " ") + name;
  store(names, state->executions);
  for (const auto& reason : m.skipped()) fmt::print(stderr, "skipped {}\n", reason);
  fmt::print(stderr, "executions {}\n", names);
}

void report(const campaign_options& options, const origin& from, const fuzz_case& c, const std::string& failure,
            worker_state* state) {
  const auto file = write_reproducer(options.folder, from, failure);
  std::ostringstream words;
  words << c;
  fmt::print(stderr, "\nFAILED: seed {} case {}: {}\n{}\n\nreproduce with --reproduce {}\n", from.seed, from.case_idx,
             failure, words.str(), file);
  store(failure, state->text);
  store(file, state->file);
  state->has_failure = true;
}

int check_cases(const campaign_options& options, int worker_idx, machine* m, shared_state* shared,
                worker_state* state) {
  origin from{.seed = options.seed, .ops = options.ops};
  const uint64_t end = options.max_cases > 0 ? options.max_cases : UINT64_MAX;
  for (auto i = static_cast<uint64_t>(worker_idx); i < end && !shared->stop;
       i += static_cast<uint64_t>(num_workers(options))) {
    state->case_idx = i;
    from.case_idx = i;
    const auto c = draw(from);
    if (const auto failure = m->check(c); !failure.empty()) {
      report(options, from, c, failure, state);
      shared->stop = true;
      return kJobFailed;
    }
    ++state->num_cases;
    ++state->cases_by_op[c.op()];
    state->num_runs = m->num_runs();
  }
  return kJobPassed;
}

int run_worker(const campaign_options& options, int worker_idx, shared_state* shared) {
  worker_state* const state = &shared->workers[worker_idx];
  try {
    machine m(options.backends);
    if (worker_idx == 0) introduce(m, state);
    return check_cases(options, worker_idx, &m, shared, state);
  } catch (const std::exception& e) {
    fmt::print(stderr, "nsameta_fuzz: {}\n", e.what());
    shared->stop = true;
    return kJobCannotStart;
  }
}

}  // namespace

int run_job(const campaign_options& options, int job_idx, shared_state* shared) {
  testing::InitGoogleTest();
  std::vector<int> codes(static_cast<size_t>(options.num_threads));
  std::vector<std::thread> threads;
  for (int i = 0; i < options.num_threads; ++i) {
    threads.emplace_back(
        [&, i] { codes[static_cast<size_t>(i)] = run_worker(options, job_idx * options.num_threads + i, shared); });
  }
  for (auto& thread : threads) thread.join();
  const auto failed = std::find_if(codes.begin(), codes.end(), [](int code) { return code != kJobPassed; });
  return failed != codes.end() ? *failed : kJobPassed;
}

}  // namespace nsameta::fuzz
