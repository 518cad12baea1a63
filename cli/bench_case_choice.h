// Which cases `nsameta bench` and `nsameta tune` measure, and the options that say so.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/workloads/workload.h"
#include "cli/launch_explanation.h"
#include "cli/session.h"

namespace nsameta::cli {

// One shape of an operation; what is not given is as in the cases of its mode.
struct shape_arguments {
  nsameta_op op = NSAMETA_OP_BUILD_METADATA;
  nsameta_mode mode = NSAMETA_MODE_TARGET_VERIFY;
  int32_t batch = 32;
  int64_t context = 4096;
  int32_t tokens_per_request = 0;  // 0: the mode's own
  std::string outputs;             // names with commas; "": those that an engine has in this mode
};

void add_op_option(CLI::App* app, nsameta_op* op);
void add_shape_options(CLI::App* app, shape_arguments* shape);
std::vector<bench::bench_case> cases_of_shape(const shape_arguments& shape);

// Cases of bench/cases.json of that operation whose name matches. Throws usage_error where there is none.
std::vector<bench::bench_case> cases_named(const std::string& pattern, nsameta_op op);

// Throws usage_error where the tables of a case take more than half of the memory that they would lie in.
void check_memory(const session& on, const std::vector<bench::bench_case>& cases);

// A case with buffers in the session's memory and a plan bound to them.
class runnable_case {
 public:
  runnable_case(const session& on, const bench::bench_case& c, bool has_kv_bound);

  const std::string& name() const { return case_.name; }
  double bytes() const { return bytes_; }
  void run(void* stream);
  // Spoils the outputs, runs, and counts the elements that differ from the oracle's.
  int64_t num_wrong();
  launch_explanation explain() const { return parse_explanation(plan_->explain(-1, -1, kv_bound_)); }

 private:
  const session& on_;
  bench::bench_case case_;
  std::unique_ptr<bench::workload_source> source_;
  std::unique_ptr<bench::workload> set_;
  std::optional<plan> plan_;
  int64_t kv_bound_ = -1;
  double bytes_ = 0;
};

}  // namespace nsameta::cli
