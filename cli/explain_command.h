// `nsameta explain`: its options and their checks.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/explain.h"

namespace nsameta::cli {

struct explain_arguments {
  explain_case input;
  std::string seq_lens;
  std::string extend;
  std::string pool_rows;
  std::string outputs;
  std::string num_requests;
  std::string plan_threshold;
  std::string backend = "auto";
  bool as_json = false;
};

// Adds the subcommand; `arguments` outlives `app`.
CLI::App* add_explain_command(CLI::App& app, explain_arguments* arguments);

// Returns the exit code.
int run_explain_command(const explain_arguments& arguments);

}  // namespace nsameta::cli
