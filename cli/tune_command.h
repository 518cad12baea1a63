// `nsameta tune`: measures values of tunables on this device and writes those that are faster into a file.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "nsameta/nsameta.h"

namespace nsameta::cli {

struct tune_arguments {
  nsameta_op op = NSAMETA_OP_BUILD_METADATA;
  std::string cases;  // "": a list that suits the device
  std::string backend = "auto";
  std::string device;
  std::string out;  // "": no file
  double seconds = 300;
  int32_t num_repetitions = 9;
  bool lists = false;
  bool as_json = false;
};

// Adds the subcommand; `arguments` outlives `app`.
CLI::App* add_tune_command(CLI::App& app, tune_arguments* arguments);

// Returns the exit code.
int run_tune_command(const tune_arguments& arguments);

}  // namespace nsameta::cli
