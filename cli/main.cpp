// The nsameta program.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/error.h"
#include "cli/explain_command.h"
#include "cli/info.h"
#include "cli/replay_command.h"
#include "nsameta/nsameta.hpp"

namespace nsameta::cli {
namespace {

constexpr const char* kFooter = R"(
Exit codes: 0 all is well; 1 an output differs from the oracle; 2 bad arguments or input, or no backend for them;
3 the program or a device failed; 130 interrupted.
NSAMETA_BACKEND=auto|cuda|hip|cpu overrides the choice of a backend, NSAMETA_LOG=error|warn|info|debug makes the
library talk.

Examples:
  nsameta info
  nsameta explain --mode extend --seq-lens 10,4 --extend 3,2
  nsameta replay --verify all)";

constexpr const char* kInfoFooter = R"(
Examples:
  nsameta info                          what is usable here, and why something is not
  nsameta info --json | jq .selection   which backend serves which memory
  NSAMETA_BACKEND=cpu nsameta info      what an override changes)";

constexpr const char* kExplainFooter = R"(
Examples:
  nsameta explain --mode extend --seq-lens 10,4 --extend 3,2         two prompts, three and two new tokens
  nsameta explain --mode verify --seq-lens 9,5 --tokens-per-request 2 --table-width exact
  nsameta explain --seq-lens 3000,700 --num-sms 8 --outputs paged_mqa_schedule
  nsameta explain --seq-lens 10,4,9 --num-requests 2 --tail zero     a captured graph that is larger than the batch
  nsameta explain --seq-lens=-3,4                                    how a fault is reported
  nsameta explain --seq-lens 10,4 --json | jq .outputs.page_table_1)";

constexpr const char* kReplayFooter = R"(
Examples:
  nsameta replay                                       the first trace found, every 100th step checked
  nsameta replay --trace t.jsonl --verify all          check every output of every step
  nsameta replay --backend cuda --launch graph         as an engine with captured graphs does
  nsameta replay --backend cpu --device cuda:0         the staged path: tensors on the GPU, work on the CPU
  nsameta replay --mode decode --time-scale 10         no speculation, ten times the traffic
  nsameta replay --steps 1000 --json - | jq .modes     figures for a program)";

std::string version_text() {
  return fmt::format("nsameta {} (ABI {}, {})", nsameta_version_string(), nsameta_abi_version(),
                     nsameta_build_string());
}

// Whether the caller or the machine is to blame.
int exit_code(nsameta_status status) {
  switch (status) {
    case NSAMETA_INVALID_ARGUMENT:
    case NSAMETA_BACKEND_UNAVAILABLE:
    case NSAMETA_UNSUPPORTED: return kExitUsage;
    default: return kExitInternal;
  }
}

int run(int argc, char** argv) {
  CLI::App app("Builds the integer metadata of sparse attention on whatever this machine has.", "nsameta");
  app.set_version_flag("--version", version_text);
  app.require_subcommand(1);
  app.footer(kFooter);
  app.option_defaults()->always_capture_default();
  app.get_formatter()->column_width(36);
  app.failure_message([](const CLI::App*, const CLI::Error& e) {
    return fmt::format("nsameta: {}\nRun with --help for more information.\n", e.what());
  });

  auto* info = app.add_subcommand("info", "Backends, devices, and which memory is served by what");
  bool as_json = false;
  info->add_flag("--json", as_json, "As JSON");
  info->footer(kInfoFooter);
  replay_arguments arguments;
  auto* replay = add_replay_command(app, &arguments);
  replay->footer(kReplayFooter);

  explain_arguments explained;
  auto* explain = add_explain_command(app, &explained);
  explain->footer(kExplainFooter);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kExitOk : kExitUsage;
  }
  if (info->parsed()) return run_info(as_json);
  return explain->parsed() ? run_explain_command(explained) : run_replay_command(arguments);
}

}  // namespace
}  // namespace nsameta::cli

int main(int argc, char** argv) {
  try {
    return nsameta::cli::run(argc, argv);
  } catch (const nsameta::cli::usage_error& e) {
    fmt::print(stderr, "nsameta: {}\n", e.what());
    return nsameta::cli::kExitUsage;
  } catch (const nsameta::error& e) {
    fmt::print(stderr, "nsameta: {}\n", e.what());
    return nsameta::cli::exit_code(e.status());
  } catch (const std::exception& e) {
    fmt::print(stderr, "nsameta: {}\n", e.what());
    return nsameta::cli::kExitInternal;
  }
}
