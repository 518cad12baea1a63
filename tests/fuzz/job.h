// One process of a campaign, its workers, and the memory that it shares with the process that started it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstddef>

#include "tests/fuzz/campaign.h"
#include "tests/fuzz/fuzz_case.h"

namespace nsameta::fuzz {

inline constexpr int kJobPassed = 0;
inline constexpr int kJobFailed = 1;
inline constexpr int kJobCannotStart = 2;
inline constexpr size_t kTextBytes = 4096;

// Written by a worker, a thread of a job; read by the campaign.
struct worker_state {
  std::atomic<uint64_t> case_idx;
  std::atomic<uint64_t> num_cases;
  std::atomic<uint64_t> num_runs;
  std::atomic<uint64_t> cases_by_op[kNumOps];
  std::atomic<bool> has_failure;  // file and text are there
  char executions[kTextBytes];
  char file[kTextBytes];
  char text[kTextBytes];
};

struct shared_state {
  std::atomic<bool> stop;
  worker_state workers[1];  // as many as there are, those of a job together
};

// Runs in the new process; its result is the process's. Of n workers, number w checks the cases w, w + n, ...
int run_job(const campaign_options& options, int job_idx, shared_state* shared);

}  // namespace nsameta::fuzz
