// nsameta_fuzz: random calls of every operation on every backend that is here, compared with the oracle byte by byte.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/error.h"
#include "cli/json_file.h"
#include "cli/options.h"
#include "cli/text.h"
#include "tests/fuzz/campaign.h"
#include "tests/fuzz/machine.h"
#include "tests/fuzz/reproducer.h"

namespace nsameta::fuzz {
namespace {

using cli::kExitInternal;
using cli::kExitMismatch;
using cli::kExitOk;
using cli::kExitUsage;

constexpr int kExitInterrupted = 130;
constexpr const char* kFooter = R"(
A case is drawn from the seed and its number alone, whatever the number of jobs and threads. Exit codes: 0 all is well; 1
a case failed, and its file was named; 2 bad arguments, or nothing can run; 3 the program failed; 130 interrupted.

Examples:
  nsameta_fuzz --minutes 10 --jobs 8
  nsameta_fuzz --backend cuda --threads 16 --cases 10000000
  nsameta_fuzz --op build_metadata --seed 7 --json -
  nsameta_fuzz --reproduce nsameta_fuzz_build_metadata_7_1234.json)";

struct arguments {
  campaign_options campaign;
  std::vector<std::string> op_names;
  std::string reproduce;
  std::string json_path;
};

uint64_t seed_of_clock() {
  return static_cast<uint64_t>(std::chrono::system_clock::now().time_since_epoch().count()) % 1'000'000'000;
}

void add_options(CLI::App* app, arguments* a) {
  auto& c = a->campaign;
  cli::add_number<double>(app, "--minutes", c.minutes, 0, 1e6, "Stop after so long; 0: only when the cases are done");
  cli::add_number<uint64_t>(app, "--cases", c.max_cases, 0, UINT64_MAX, "Stop after so many; 0: when the time is over");
  app->add_option("--seed", c.seed, "Of all cases; by default from the clock")->type_name("N")->default_str("");
  cli::add_number<int>(app, "--jobs", c.num_jobs, 1, 1024, "Processes at once");
  cli::add_number<int>(app, "--threads", c.num_threads, 1, 1024,
                       "Threads of each process, which share its GPU context");
  app->add_option("--op", a->op_names, "Operations to call; without it all of them")
      ->type_name("NAME")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kOpNames), std::end(kOpNames))));
  app->add_option("--backend", c.backends, "Backends or executions, such as cpu or cuda_graph; without it all that run")
      ->type_name("NAME");
  app->add_option("--out", c.folder, "Folder for the files of failed cases")
      ->type_name("DIR")
      ->check(CLI::ExistingDirectory);
  app->add_option("--reproduce", a->reproduce, "Check the case of a file again, or one of libFuzzer's")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  app->add_option("--json", a->json_path, "Write a summary as JSON; - writes it to standard output")
      ->type_name("FILE|-");
  app->footer(kFooter);
}

int reproduce(const arguments& a) {
  testing::InitGoogleTest();
  const auto from = read_reproducer(a.reproduce);
  const auto c = draw(from);
  std::ostringstream words;
  words << c;
  fmt::print("{}\n\n", words.str());
  std::fflush(stdout);
  machine m(a.campaign.backends);
  for (const auto& name : m.names()) fmt::print("on {}\n", name);
  const auto failure = m.check(c);
  if (failure.empty()) {
    fmt::print("passed\n");
    return kExitOk;
  }
  fmt::print("FAILED: {}\n", failure);
  return kExitMismatch;
}

nlohmann::ordered_json to_json(const campaign_options& options, const campaign_result& result) {
  nlohmann::ordered_json json;
  json["seed"] = options.seed;
  json["jobs"] = options.num_jobs;
  json["threads"] = options.num_threads;
  json["seconds"] = result.seconds;
  json["cases"] = result.num_cases;
  json["cases_per_second"] = static_cast<double>(result.num_cases) / result.seconds;
  json["runs"] = result.num_runs;
  for (int op = 0; op < kNumOps; ++op) json["cases_by_op"][kOpNames[op]] = result.cases_by_op[static_cast<size_t>(op)];
  json["executions"] = result.executions;
  json["interrupted"] = result.was_interrupted;
  json["failures"] = nlohmann::ordered_json::array();
  for (const auto& f : result.failures) json["failures"].push_back({{"file", f.file}, {"text", f.text}});
  return json;
}

int run_and_report(const arguments& a) {
  const auto& options = a.campaign;
  if (options.minutes == 0 && options.max_cases == 0) throw cli::usage_error("--minutes=0 needs --cases");
  fmt::print(stderr, "seed {}, {} jobs\n", options.seed, options.num_jobs);
  const auto result = run_campaign(options);
  if (result.could_not_start) return kExitUsage;
  fmt::print(stderr, "{} cases, {} runs in {:.1f} s: {} cases a second, seed {}; {} failed\n",
             cli::with_commas(static_cast<int64_t>(result.num_cases)),
             cli::with_commas(static_cast<int64_t>(result.num_runs)), result.seconds,
             cli::with_commas(static_cast<int64_t>(static_cast<double>(result.num_cases) / result.seconds)),
             options.seed, result.failures.size());
  if (!a.json_path.empty()) {
    const auto replace = nlohmann::ordered_json::error_handler_t::replace;  // bytes of failures that are no UTF-8
    cli::write_json_text(to_json(options, result).dump(2, ' ', false, replace), a.json_path);
  }
  if (!result.failures.empty()) return kExitMismatch;
  return result.was_interrupted ? kExitInterrupted : kExitOk;
}

int run(int argc, char** argv) {
  CLI::App app("Random calls of every operation on every backend that is here, compared with the oracle.",
               "nsameta_fuzz");
  app.option_defaults()->always_capture_default();
  app.get_formatter()->column_width(30);
  arguments a;
  a.campaign.seed = seed_of_clock();
  add_options(&app, &a);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kExitOk : kExitUsage;
  }
  for (int op = 0; op < kNumOps; ++op) {
    const bool is_named = std::count(a.op_names.begin(), a.op_names.end(), kOpNames[op]) > 0;
    if (a.op_names.empty() || is_named) a.campaign.ops.push_back(static_cast<nsameta_op>(op));
  }
  return a.reproduce.empty() ? run_and_report(a) : reproduce(a);
}

}  // namespace
}  // namespace nsameta::fuzz

int main(int argc, char** argv) {
  try {
    return nsameta::fuzz::run(argc, argv);
  } catch (const nsameta::cli::usage_error& e) {
    fmt::print(stderr, "nsameta_fuzz: {}\n", e.what());
    return nsameta::fuzz::kExitUsage;
  } catch (const std::exception& e) {
    fmt::print(stderr, "nsameta_fuzz: {}\n", e.what());
    return nsameta::fuzz::kExitInternal;
  }
}
