// `nsameta bench`: times one shape, or named cases, and says which way the library took.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "cli/bench_case_choice.h"

namespace nsameta::cli {

struct bench_arguments {
  shape_arguments shape;
  std::string cases;  // "": the shape
  std::string backend = "auto";
  std::string device;
  int32_t num_repetitions = 9;
  bool has_no_bound = false;
  bool explains = false;
  bool as_json = false;
};

// Adds the subcommand; `arguments` outlives `app`.
CLI::App* add_bench_command(CLI::App& app, bench_arguments* arguments);

// Returns the exit code.
int run_bench_command(const bench_arguments& arguments);

}  // namespace nsameta::cli
