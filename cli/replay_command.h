// `nsameta replay`: its options, and what happens around a run.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/replay.h"
#include "cli/trace_source.h"

namespace nsameta::cli {

struct replay_arguments {
  trace_source source;
  replay_options options;
  double step_ms = 30;
  std::string backend = "auto";
  std::string device;     // "": what the backend works on
  std::string json_path;  // "-": standard output, and nothing else there
};

// Adds the subcommand; `arguments` outlives `app`.
CLI::App* add_replay_command(CLI::App& app, replay_arguments* arguments);

// Returns the exit code.
int run_replay_command(const replay_arguments& arguments);

}  // namespace nsameta::cli
