#include "cli/bench_command.h"

#include <fmt/format.h>

#include <cstring>

#include "bench/workloads/spread.h"
#include "cli/device_choice.h"
#include "cli/device_description.h"
#include "cli/error.h"
#include "cli/launch_timer.h"
#include "cli/options.h"

namespace nsameta::cli {
namespace {

using nlohmann::ordered_json;

struct measured_case {
  std::string name;
  double bytes = 0;
  int64_t num_wrong = 0;
  bench::spread us;
  launch_explanation explanation;
};

measured_case measure(const session& on, const bench::bench_case& c, const bench_arguments& arguments) {
  runnable_case job(on, c, !arguments.has_no_bound);
  measured_case result{job.name(), job.bytes(), job.num_wrong(), {}, job.explain()};
  if (result.num_wrong > 0) return result;
  launch_timer timer(on, [&](void* stream) { job.run(stream); });
  std::vector<double> samples;
  for (int i = 0; i < arguments.num_repetitions; ++i) samples.push_back(timer.sample_us());
  result.us = bench::summarise(std::move(samples));
  return result;
}

ordered_json to_json(const measured_case& c) {
  ordered_json out = {{"case", c.name}, {"bytes", c.bytes}, {"num_wrong", c.num_wrong}};
  if (c.num_wrong == 0) out["us"] = {{"median", c.us.median}, {"low", c.us.low}, {"high", c.us.high}};
  out["explanation"] = to_json(c.explanation);
  return out;
}

void print_heading(const device_description& where, int32_t num_repetitions) {
  fmt::print("{} by backend {}{}, {}; {}\n", where.name, where.backend, where.is_staged ? ", staged" : "",
             where.uses_graphs ? "one launch in a captured graph" : "one call", where.tuning_text());
  fmt::print("median and quartiles of {} measurements\n\n", num_repetitions);
  fmt::print("  {:<32} {:>10}  {:<20} {:>9} {:>8}\n", "case", "us", "(quartiles)", "MB", "GB/s");
}

void print_row(const measured_case& c, bool explains) {
  if (c.num_wrong > 0) {
    fmt::print("  {:<32} WRONG: {} elements differ from the oracle\n", c.name, c.num_wrong);
  } else {
    fmt::print("  {:<32} {:>10.2f}  {:<20} {:>9.3f} {:>8.1f}\n", c.name, c.us.median,
               fmt::format("({:.2f}..{:.2f})", c.us.low, c.us.high), c.bytes / 1e6, c.bytes / 1e3 / c.us.median);
  }
  if (!explains) return;
  for (const auto& [key, value] : c.explanation.launch) fmt::print("    {}: {}\n", key, value);
  fmt::print("    because\n");
  for (const auto& line : c.explanation.lines) {
    if (line.starts_with("rule: ") || line.starts_with("fact: ")) {
      fmt::print("      {}\n", line.substr(std::strlen("rule: ")));
    } else if (line.starts_with("uses: ")) {
      fmt::print("      uses {}\n", line.substr(std::strlen("uses: ")));
    }
  }
}

}  // namespace

CLI::App* add_bench_command(CLI::App& app, bench_arguments* arguments) {
  auto* bench = app.add_subcommand("bench", "Times one shape, or named cases, on this device");
  add_op_option(bench, &arguments->shape.op);
  add_shape_options(bench, &arguments->shape);
  bench->add_option("--cases", arguments->cases, "Cases of bench/cases.json whose name matches, instead of a shape")
      ->type_name("REGEX");
  bench->add_flag("--no-bound", arguments->has_no_bound, "As if the host did not know how long contexts are");
  add_device_options(bench, &arguments->backend, &arguments->device);
  add_number<int32_t>(bench, "--repetitions", arguments->num_repetitions, 1, 10'000, "Measurements of each case");
  bench->add_flag("--explain", arguments->explains, "Which kernel or path was chosen, and why");
  bench->add_flag("--json", arguments->as_json, "As JSON, explanations included");
  return bench;
}

int run_bench_command(const bench_arguments& arguments) {
  const auto cases =
      arguments.cases.empty() ? cases_of_shape(arguments.shape) : cases_named(arguments.cases, arguments.shape.op);
  const session on(chosen_device(arguments.backend, arguments.device), arguments.backend);
  const device_description where = describe_device(on);
  check_memory(on, cases);
  ordered_json out = to_json(where);
  out["schema"] = "nsameta-program-bench-1";
  out["repetitions"] = arguments.num_repetitions;
  out["cases"] = ordered_json::array();
  if (!arguments.as_json) print_heading(where, arguments.num_repetitions);
  bool is_right = true;
  for (const auto& c : cases) {
    const measured_case result = measure(on, c, arguments);
    is_right = is_right && result.num_wrong == 0;
    if (arguments.as_json) {
      out["cases"].push_back(to_json(result));
    } else {
      print_row(result, arguments.explains);
    }
  }
  if (arguments.as_json) fmt::print("{}\n", out.dump(2));
  return is_right ? kExitOk : kExitMismatch;
}

}  // namespace nsameta::cli
