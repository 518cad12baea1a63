// The nsameta program.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/bench_command.h"
#include "cli/error.h"
#include "cli/explain_command.h"
#include "cli/info.h"
#include "cli/replay_command.h"
#include "cli/tune_command.h"
#include "nsameta/nsameta.hpp"

namespace nsameta::cli {
namespace {

constexpr const char* kFooter = R"(
Exit codes: 0 all is well; 1 an output differs from the oracle; 2 bad arguments or input, or no backend for them;
3 the program or a device failed; 130 interrupted.
NSAMETA_BACKEND=auto|cuda|hip|cpu overrides the choice of a backend, NSAMETA_TUNING=FILE loads what `nsameta tune`
wrote, NSAMETA_LOG=error|warn|info|debug makes the library talk.

Examples:
  nsameta info
  nsameta explain --mode extend --seq-lens 10,4 --extend 3,2
  nsameta replay --verify all
  nsameta bench --batch 32 --context 4096 --explain
  nsameta tune --out tuning.json)";

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

constexpr const char* kBenchFooter = R"(
Each case is compared with the oracle first. Tables are as wide as an engine's: 163,840 columns.

Examples:
  nsameta bench                                        a verify step of 32 requests with 4 tokens and contexts to 4K
  nsameta bench --explain                              and which kernel or path was chosen, and why
  nsameta bench --mode decode --batch 64 --context 131072
  nsameta bench --mode draft_extend --outputs seqlens_expanded,nsa_cache_seqlens
  nsameta bench --cases '^verify/' --json | jq '.cases[] | [.case, .us.median]'
  nsameta bench --backend cpu --op map_topk_to_slots --batch 256
  NSAMETA_TUNING=tuning.json nsameta bench --explain   with the values of that file)";

constexpr const char* kTuneFooter = R"(
A value is kept where it is faster on some case, beyond the noise, and slower on none. Results of every call stay as they
are: each value is compared with the oracle. Interrupted, it writes nothing.

Examples:
  nsameta tune --list                                  what can be tuned here, and what the defaults rest on
  nsameta tune --out tuning.json                       five minutes on the best device
  NSAMETA_TUNING=tuning.json nsameta info              which values are in force
  nsameta tune --cases '^decode/' --seconds 60         for the steps of one engine; prints, and writes nothing
  nsameta tune --backend cpu --out tuning.json         one file may serve several backends and devices
  nsameta tune --json | jq .values)";

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

  bench_arguments benched;
  auto* bench = add_bench_command(app, &benched);
  bench->footer(kBenchFooter);
  tune_arguments tuned;
  auto* tune = add_tune_command(app, &tuned);
  tune->footer(kTuneFooter);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kExitOk : kExitUsage;
  }
  if (info->parsed()) return run_info(as_json);
  if (bench->parsed()) return run_bench_command(benched);
  if (tune->parsed()) return run_tune_command(tuned);
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
