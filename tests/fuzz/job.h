// One process of a campaign, and the memory that it shares with the one that started it.
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

// Written by the job, read by the campaign.
struct job_state {
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
  job_state jobs[1];  // as many as there are
};

// Runs in the new process; its result is the process's. Job j checks the cases j, j + num_jobs, ...
int run_job(const campaign_options& options, int job_idx, shared_state* shared, job_state* state);

}  // namespace nsameta::fuzz
