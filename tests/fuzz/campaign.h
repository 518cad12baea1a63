// A run of the fuzzer: processes that draw cases of one seed and check them on every execution. A process that crashes
// or hangs takes no other with it, and leaves the cases that its threads were at.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nsameta/nsameta.h"

namespace nsameta::fuzz {

struct campaign_options {
  uint64_t seed = 0;
  uint64_t max_cases = 0;  // 0: until the time is over
  double minutes = 1;      // 0: until the cases are done
  int num_jobs = 1;        // processes
  int num_threads = 1;     // of each; they share a GPU, on which processes only take turns
  std::vector<nsameta_op> ops{};
  std::vector<std::string> backends{};  // see machine
  std::string folder = ".";             // of reproducers
};

struct campaign_failure {
  std::string file;
  std::string text;
};

struct campaign_result {
  double seconds = 0;
  uint64_t num_cases = 0;
  uint64_t num_runs = 0;
  std::vector<uint64_t> cases_by_op{};
  std::string executions{};  // names, with spaces
  std::vector<campaign_failure> failures{};
  bool was_interrupted = false;
  bool could_not_start = false;  // the reason is on standard error
};

inline int num_workers(const campaign_options& options) { return options.num_jobs * options.num_threads; }

campaign_result run_campaign(const campaign_options& options);

}  // namespace nsameta::fuzz
