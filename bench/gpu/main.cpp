// bench_gpu: GPU time, cold GPU time and host time of every case of bench/cases.json, through the public C ABI.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <ctime>
#include <fstream>
#include <regex>

#include "bench/gpu/measure.h"
#include "bench/gpu/results.h"

namespace nsameta::bench {
namespace {

constexpr const char* kFooter = R"(
Each case is compared with the oracle before it is timed. Times are medians; the spread is that of the repetitions.
  graph us   one launch inside a captured graph, data in L2 as the launch before left them
  cold us    the same after L2 was flushed, each launch on buffers of its own
  call ns    host time of nsameta_plan_run on an idle stream; one-shot: of the call without a plan; empty: of an
             empty kernel beside them
  n          kernels of one call;  hot %, cold %: floor over time

Exit codes: 0 all is well; 1 a result is wrong or a case failed; 2 bad arguments, or no GPU.

Examples:
  bench_gpu --list                                the cases, without a GPU
  bench_gpu --filter '^verify/' --json verify.json
  bench_gpu --filter 'b32_c4K' --repetitions 11
  bench_gpu --quick                               one repetition, no cold figures)";

struct arguments {
  std::string filter;
  std::string json_path;
  bool lists = false;
  bool is_quick = false;
  measure_options measure;
};

std::vector<bench_case> chosen_cases(const std::string& filter) {
  const std::regex pattern(filter);
  std::vector<bench_case> chosen;
  for (auto& c : all_cases()) {
    if (std::regex_search(c.name, pattern)) chosen.push_back(std::move(c));
  }
  return chosen;
}

std::string driver_version() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string line;
  std::getline(file, line);
  std::smatch found;
  return std::regex_search(line, found, std::regex("[0-9]+\\.[0-9.]+")) ? found.str() : "unknown";
}

void show_progress(size_t place, size_t count, const std::string& name) {
  const bool is_terminal = isatty(STDERR_FILENO) != 0;
  fmt::print(stderr, "{}[{}/{}] {}{}", is_terminal ? "\r\033[K" : "", place + 1, count, name, is_terminal ? "" : "\n");
}

void clear_progress() {
  if (isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r\033[K");
}

bool run(const arguments& wanted, const std::vector<bench_case>& cases, run_info info) {
  const context owner({NSAMETA_DEVICE_CUDA, 0}, "cuda");
  timer on;
  info.device = on.properties().name;
  info.driver = driver_version();
  const baseline limits = measure_baseline(&on, wanted.measure);
  print_header(info, limits, stdout);
  std::vector<row> rows;
  bool is_good = true;
  for (size_t i = 0; i < cases.size(); ++i) {
    show_progress(i, cases.size(), cases[i].name);
    const auto measured = measure_case(&on, owner, cases[i], limits, wanted.measure);
    clear_progress();
    for (const row& r : measured) {
      print_row(r, stdout);
      is_good = is_good && r.error.empty() && r.num_wrong == 0;
      rows.push_back(r);
    }
    // After each case, so that what was measured survives what comes.
    if (wanted.json_path.empty()) continue;
    std::ofstream file(wanted.json_path);
    file << to_json(info, limits, on, rows) << std::flush;
    if (!file) throw std::runtime_error(fmt::format("--json={}: cannot be written", wanted.json_path));
  }
  return is_good;
}

int main_of(int argc, char** argv) {
  arguments wanted;
  CLI::App app("Times the operations of nsameta on the first CUDA device.", "bench_gpu");
  app.footer(kFooter);
  app.option_defaults()->always_capture_default();
  app.add_option("--filter", wanted.filter, "Cases whose name this regular expression is found in")->type_name("REGEX");
  app.add_option("--json", wanted.json_path, "Write the figures to FILE, after each case anew")->type_name("FILE");
  app.add_option("--repetitions", wanted.measure.num_repetitions, "Of each whole measurement")
      ->check(CLI::Range(1, 1000));
  app.add_option("--calls", wanted.measure.num_calls, "Timed calls of the host in a repetition")
      ->check(CLI::Range(4, 1'000'000));
  app.add_flag_callback("--no-cold", [&] { wanted.measure.has_cold = false; }, "Leave out the cold figures");
  app.add_flag("--quick", wanted.is_quick, "One repetition, no cold figures");
  app.add_flag("--list", wanted.lists, "Print the names of the cases and exit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  if (wanted.is_quick) {
    wanted.measure.num_repetitions = 1;
    wanted.measure.has_cold = false;
  }
  const auto cases = chosen_cases(wanted.filter);
  if (cases.empty()) {
    fmt::print(stderr, "bench_gpu: --filter={} is found in no case; --list prints them\n", wanted.filter);
    return 2;
  }
  if (wanted.lists) {
    for (const auto& c : cases) fmt::print("{}\n", c.name);
    return 0;
  }
  const std::string date = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  const std::string command = fmt::format("{}", fmt::join(argv, argv + argc, " "));
  return run(wanted, cases, {command, date, {}, {}, wanted.measure.num_repetitions}) ? 0 : 1;
}

}  // namespace
}  // namespace nsameta::bench

int main(int argc, char** argv) {
  try {
    return nsameta::bench::main_of(argc, argv);
  } catch (const std::regex_error& e) {
    fmt::print(stderr, "bench_gpu: --filter: {}\n", e.what());
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_gpu: {}\n", e.what());
  }
  return 2;
}
