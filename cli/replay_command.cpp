#include "cli/replay_command.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>

#include "cli/device_choice.h"
#include "cli/error.h"
#include "cli/json_file.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/text.h"

namespace nsameta::cli {
namespace {

constexpr int kExitInterrupted = 130;  // 128 + SIGINT

void report_bad_lines(const trace& requests) {
  for (const auto& bad : requests.bad_lines) {
    fmt::print(stderr, "{}:{}: {}; line skipped\n", requests.name, bad.line_number, bad.reason);
  }
  const auto shown = static_cast<int64_t>(requests.bad_lines.size());
  if (requests.num_bad_lines > shown) {
    fmt::print(stderr, "{}: {} more bad lines skipped\n", requests.name, with_commas(requests.num_bad_lines - shown));
  }
}

// Appending nothing shows whether the file can be written, and leaves what it holds until there is something better.
void check_writable(const std::string& path) {
  if (path.empty() || path == "-") return;
  if (!std::ofstream(path, std::ios::app)) throw usage_error(fmt::format("--json={}: cannot be opened to write", path));
}

void check_arguments(const replay_arguments& arguments) {
  const auto& engine = arguments.options.engine;
  const auto refuse = [](const std::string& what) { throw usage_error(what); };
  if (kPrefixBlockTokens % engine.page_size != 0) {
    refuse(fmt::format("--page-size={} must divide {}, the tokens of a shared prefix block", engine.page_size,
                       kPrefixBlockTokens));
  }
  if (engine.pool_tokens < engine.page_size) {
    refuse(fmt::format("--pool-tokens={} must hold a page of {} tokens", engine.pool_tokens, engine.page_size));
  }
}

void add_workload_options(CLI::App* replay, replay_arguments* arguments) {
  auto& engine = arguments->options.engine;
  replay
      ->add_option("--trace", arguments->source.path,
                   "Request trace. Without it: the first one found in $NSAMETA_TRACES,\n"
                   "./traces and ../shared/traces, else a synthetic workload")
      ->type_name("FILE");
  add_choice<trace_format>(
      replay, "--format", arguments->source.format,
      {{"auto", trace_format::auto_detect}, {"mooncake", trace_format::mooncake}, {"azure", trace_format::azure}},
      "Format of the trace");
  add_number<int32_t>(replay, "--requests", arguments->source.num_synthetic_requests, 1, 10'000'000,
                      "Requests of the synthetic workload");
  add_number<double>(replay, "--time-scale", engine.time_scale, 0.001, 1e6, "Requests arrive N times faster");
  add_number<int64_t>(replay, "--steps", arguments->options.max_steps, 1, INT64_MAX, "Stop after N steps")
      ->default_str("");
  replay->add_option("--seed", engine.seed, "Of accepted lengths and of the synthetic workload")->type_name("N");
}

void add_engine_options(CLI::App* replay, replay_arguments* arguments) {
  auto& engine = arguments->options.engine;
  add_choice<replay_mode>(replay, "--mode", arguments->options.mode,
                          {{"mixed", replay_mode::mixed},
                           {"decode", replay_mode::decode},
                           {"verify", replay_mode::verify},
                           {"draft_extend", replay_mode::draft_extend}},
                          "mixed: prompts, then speculative steps (verify, draft-extend);\n"
                          "decode: prompts, then one token a step;\n"
                          "verify, draft_extend: as mixed, but only these builds");
  add_number<int32_t>(replay, "--next-n", engine.next_n, 1, 64, "Draft tokens of a speculative step");
  add_number<int32_t>(replay, "--max-batch", engine.max_batch, 1, 65'536, "Requests that run at once");
  add_number<int32_t>(replay, "--chunk", engine.chunk, 1, 1 << 24, "New prompt tokens of a step");
  add_number<double>(replay, "--step-ms", arguments->step_ms, 0.001, 1e6, "Simulated duration of a step");
  add_number<int32_t>(replay, "--page-size", engine.page_size, 1, kPrefixBlockTokens,
                      "Tokens of a KV page, and of real_page_table's up to 256");
  add_number<int64_t>(replay, "--pool-tokens", engine.pool_tokens, 1, 1 << 30, "Tokens that the KV pool holds");
}

void add_build_options(CLI::App* replay, replay_arguments* arguments) {
  auto& options = arguments->options;
  replay->add_flag_callback(
      "--no-wide-table", [&options] { options.has_wide_table = false; }, "Do not build page_table_1");
  add_number<int32_t>(replay, "--num-sms", options.num_sms, 1, NSAMETA_MAX_SMS,
                      fmt::format("Multiprocessors of paged_mqa_schedule. Without it: those of the\n"
                                  "device, {} for the host",
                                  kHostSms))
      ->default_str("");
  add_number<int64_t>(replay, "--copy-mb", options.copy_mb, 0, 1 << 16,
                      "Size of the plain copy that bandwidths are set against; 0: none");
  add_number<int32_t>(replay, "--topk", options.topk, 1, INT32_MAX, "Keys that sparse attention reads of each context");
  replay->add_option("--backend", arguments->backend, "Backend that builds")->type_name("auto|cpu|cuda|hip");
  replay
      ->add_option("--device", arguments->device,
                   "Memory of the metadata. Without it: what the backend works on; for auto\n"
                   "the best usable GPU, else the host")
      ->type_name("cpu|cuda[:id]|rocm[:id]");
  add_choice<bool>(replay, "--launch", options.use_graph, {{"eager", false}, {"graph", true}},
                   "graph: capture a device graph once a batch size, replay it (GPU only)");
  add_choice<verify_level>(
      replay, "--verify", options.verify,
      {{"sample", verify_level::sample}, {"all", verify_level::all}, {"off", verify_level::off}},
      fmt::format("Compare every output with the oracle: one step in {}, all, or none", kVerifySampleInterval));
  replay
      ->add_option("--json", arguments->json_path,
                   "Write the figures as JSON; - writes them, alone, to standard output")
      ->type_name("FILE|-");
}

}  // namespace

CLI::App* add_replay_command(CLI::App& app, replay_arguments* arguments) {
  auto* replay = app.add_subcommand("replay",
                                    "Serves a request trace with an engine model; builds, times and checks "
                                    "every step's metadata");
  add_workload_options(replay, arguments);
  add_engine_options(replay, arguments);
  add_build_options(replay, arguments);
  return replay;
}

int run_replay_command(const replay_arguments& arguments) {
  check_arguments(arguments);
  check_writable(arguments.json_path);
  auto options = arguments.options;
  options.engine.step_us = std::llround(arguments.step_ms * 1000);
  options.engine.speculative = options.mode != replay_mode::decode;
  options.engine.chunk = arguments.options.engine.chunk;
  auto source = arguments.source;
  source.seed = options.engine.seed;

  const auto device = arguments.device.empty() ? default_device(arguments.backend) : parse_device(arguments.device);
  const session where(device, arguments.backend);
  if (options.use_graph && (where.is_host() || where.is_staged())) {
    throw usage_error(fmt::format("--launch=graph needs a backend that runs on a GPU; this is {}{}", where.backend(),
                                  where.is_staged() ? " (staged)" : ""));
  }
  const trace requests = load_trace(source);
  std::FILE* out = arguments.json_path == "-" ? stderr : stdout;
  fmt::print(out, "{}\n", describe(requests));
  fmt::print(out, "backend {}, {} memory{}, {}, seed {}\n", where.backend(), device_name(where.device()),
             where.is_staged() ? " (staged through the host)" : "", options.use_graph ? "graph" : "eager",
             options.engine.seed);
  std::fflush(out);
  report_bad_lines(requests);

  const auto result = run_replay(requests, where, options);
  const replay_report report{&requests, &where, &options, &result};
  fmt::print(out, "\n");
  print_table(report, out);
  if (!arguments.json_path.empty()) write_json_text(to_json(report).dump(2), arguments.json_path);
  if (result.mismatches.count > 0) return kExitMismatch;
  return result.was_interrupted ? kExitInterrupted : kExitOk;
}

}  // namespace nsameta::cli
