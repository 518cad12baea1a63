#include "cli/tune_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "cli/bench_case_choice.h"
#include "cli/device_description.h"
#include "cli/error.h"
#include "cli/options.h"
#include "cli/tuner.h"
#include "cli/tuning_file.h"

namespace nsameta::cli {
namespace {

using nlohmann::ordered_json;

// Every kernel of build_metadata on both sides of its thresholds.
constexpr const char* kCasesOfGpu =
    "^(verify|verify_pages|decode|decode_pages|draft_extend|extend|seed_q8|seed_q128|seed_q4to256|lengths_q4)/";
// What one thread and what several do, with tables that host memory holds.
constexpr const char* kCasesOfCpu =
    "^(verify|decode)/b(1|32)_c4K$|^draft_extend/b32_c4K$|^extend/b8_p0_q1024$|^seed_q(8|128)/b(32|256|4096)$|"
    "^seed_q4to256/b4096$|^lengths_q4/b(32|1024)$";

std::string case_pattern(const tune_arguments& arguments, const session& on) {
  if (!arguments.cases.empty()) return arguments.cases;
  if (arguments.op != NSAMETA_OP_BUILD_METADATA) return ".";
  return on.is_host() ? kCasesOfCpu : kCasesOfGpu;
}

// One line on a terminal that replaces itself.
class status_line {
 public:
  status_line() : is_terminal_(isatty(STDERR_FILENO) != 0) {}
  ~status_line() { clear(); }
  status_line(const status_line&) = delete;
  status_line& operator=(const status_line&) = delete;

  void show(const std::string& what, double share) const {
    if (!is_terminal_) return;
    fmt::print(stderr, "\r  {:3.0f} %  {}\x1b[K", 100 * share, what);
    std::fflush(stderr);
  }
  void clear() const {
    if (is_terminal_) fmt::print(stderr, "\r\x1b[K");
  }

 private:
  bool is_terminal_;
};

ordered_json to_json(const bench::spread& s) { return {{"median", s.median}, {"low", s.low}, {"high", s.high}}; }

ordered_json to_json(const std::vector<comparison>& cases) {
  ordered_json list = ordered_json::array();
  for (const auto& c : cases) {
    ordered_json& added = list.emplace_back(ordered_json{{"case", c.case_name}, {"outcome", name_of(c.outcome)}});
    if (c.outcome == effect::NOT_MEASURED) continue;
    added["before_us"] = to_json(c.before);
    added["after_us"] = to_json(c.after);
  }
  return list;
}

ordered_json to_json(const tunable_result& r) {
  ordered_json trials = ordered_json::array();
  for (const auto& t : r.trials) {
    trials.push_back({{"value", t.value}, {"outcome", name_of(t.outcome)}, {"cases", to_json(t.cases)}});
  }
  return {{"tunable", r.tunable.name}, {"default", r.tunable.default_value}, {"chosen", r.chosen}, {"trials", trials}};
}

// ---- tables -------------------------------------------------------------------------------------------------------

void print_heading(const device_description& where) {
  fmt::print("{} by backend {}{}; {}\n\n", where.name, where.backend, where.is_staged ? ", staged" : "",
             where.tuning_text());
}

void print_list(const std::vector<nsameta_tunable>& tunables) {
  for (const auto& t : tunables) {
    fmt::print("  {} = {}{}, in [{}, {}]\n", t.name, t.value,
               t.value == t.default_value ? "" : fmt::format(" (default {})", t.default_value), t.least, t.most);
    fmt::print("      {}\n      {}\n", t.decides, t.measured);
  }
}

ordered_json list_json(const std::vector<nsameta_tunable>& tunables) {
  ordered_json list = ordered_json::array();
  for (const auto& t : tunables) {
    list.push_back({{"tunable", t.name},
                    {"value", t.value},
                    {"default", t.default_value},
                    {"least", t.least},
                    {"most", t.most},
                    {"decides", t.decides},
                    {"measured", t.measured}});
  }
  return list;
}

std::string summary(const tunable_result& r) {
  std::string text;
  for (const auto& t : r.trials) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", t.value, name_of(t.outcome));
  }
  return text;
}

void print_results(const std::vector<tunable_result>& results, const std::vector<comparison>& all) {
  fmt::print("  {:<24} {:>14} {:>14}  {}\n", "tunable", "default", "chosen", "values tried");
  for (const auto& r : results) {
    fmt::print("  {:<24} {:>14} {:>14}  {}\n", r.tunable.name, r.tunable.default_value,
               r.is_changed() ? fmt::format("{}", r.chosen) : "-", summary(r));
  }
  if (all.empty()) {
    fmt::print("\nno value is faster than its default beyond the noise\n");
    return;
  }
  fmt::print("\n  {:<32} {:>10} {:>10} {:>7}\n", "case, us", "before", "after", "change");
  for (const auto& c : all) {
    fmt::print("  {:<32} {:>10.2f} {:>10.2f} {:>+6.1f} %{}\n", c.case_name, c.before.median, c.after.median,
               100 * (c.after.median / c.before.median - 1), c.outcome == effect::SLOWER ? "  slower" : "");
  }
}

// ---- a run --------------------------------------------------------------------------------------------------------

ordered_json make_entry(const device_description& where, const std::vector<tunable_result>& results,
                        const std::vector<comparison>& all) {
  ordered_json values = ordered_json::object();
  ordered_json measured = ordered_json::array();
  for (const auto& r : results) {
    if (!r.is_changed()) continue;
    values[r.tunable.name] = r.chosen;
    measured.push_back(to_json(r));
  }
  return {{"backend", where.backend},
          {"device", {{"name", where.name}, {"arch", where.arch}, {"num_multiprocessors", where.num_multiprocessors}}},
          {"date", utc_now()},
          {"values", values},
          {"measured", measured},
          {"before_and_after", to_json(all)}};
}

std::vector<std::unique_ptr<runnable_case>> make_cases(const session& on, const std::vector<bench::bench_case>& cases,
                                                       const status_line& status) {
  std::vector<std::unique_ptr<runnable_case>> made;
  for (const auto& c : cases) {
    status.show("buffers of " + c.name, 0);
    made.push_back(std::make_unique<runnable_case>(on, c, true));
    if (const int64_t num_wrong = made.back()->num_wrong(); num_wrong > 0) {
      throw wrong_output(fmt::format("{}: {} elements differ from the oracle", c.name, num_wrong));
    }
  }
  return made;
}

bool concerns(const nsameta_tunable& tunable, nsameta_op op) { return tunable.op == -1 || tunable.op == op; }

std::vector<nsameta_tunable> tunables_of(const session& on, nsameta_op op) {
  auto all = on.context().tunables();
  all.erase(std::remove_if(all.begin(), all.end(), [op](const auto& t) { return !concerns(t, op); }), all.end());
  if (all.empty()) throw usage_error(fmt::format("--op: backend {} has no tunables for this operation", on.backend()));
  return all;
}

int tune(const tune_arguments& arguments, const session& on, const device_description& where) {
  ordered_json others = ordered_json::array();
  if (!arguments.out.empty()) others = other_entries(arguments.out, where);
  const auto chosen = cases_named(case_pattern(arguments, on), arguments.op);
  check_memory(on, chosen);
  const status_line status;
  auto cases = make_cases(on, chosen, status);
  const tuner_limits limits{std::chrono::duration<double>(arguments.seconds), arguments.num_repetitions};
  tuner search(on, &cases, limits, [&](const std::string& what, double share) { status.show(what, share); });
  const auto results = search.run(arguments.op);
  const auto all = search.compare_all(results);
  status.clear();
  const ordered_json entry = make_entry(where, results, all);
  if (!arguments.out.empty()) {
    others.push_back(entry);
    write_tuning_file(arguments.out, others);
  }
  if (arguments.as_json) {
    ordered_json out = to_json(where);
    out["schema"] = "nsameta-program-tune-1";
    out["tunables"] = ordered_json::array();
    for (const auto& r : results) out["tunables"].push_back(to_json(r));
    out["values"] = entry["values"];
    out["before_and_after"] = entry["before_and_after"];
    out["file"] = arguments.out.empty() ? ordered_json() : ordered_json(arguments.out);
    fmt::print("{}\n", out.dump(2));
    return kExitOk;
  }
  print_heading(where);
  print_results(results, all);
  if (!arguments.out.empty())
    fmt::print("\n{} is written; use it by NSAMETA_TUNING={}\n", arguments.out, arguments.out);
  return kExitOk;
}

}  // namespace

CLI::App* add_tune_command(CLI::App& app, tune_arguments* arguments) {
  auto* tune = app.add_subcommand("tune", "Looks for faster values of tunables on this device");
  add_op_option(tune, &arguments->op);
  tune->add_option("--cases", arguments->cases,
                   "Cases of bench/cases.json that are measured. Without it:\nsome that suit the device")
      ->type_name("REGEX");
  add_device_options(tune, &arguments->backend, &arguments->device);
  tune->add_option("--out", arguments->out, "File for what was found. Entries for other devices stay in it")
      ->type_name("FILE");
  add_number<double>(tune, "--seconds", arguments->seconds, 0.0, 86'400.0,
                     "Time for measuring; what is left then is not measured");
  add_number<int32_t>(tune, "--repetitions", arguments->num_repetitions, 1, 10'000,
                      "Measurements of each value and case");
  tune->add_flag("--list", arguments->lists, "Only print the tunables, and what each decides");
  tune->add_flag("--json", arguments->as_json, "As JSON, with every measurement");
  return tune;
}

int run_tune_command(const tune_arguments& arguments) {
  // Before the library reads it: values are compared with the defaults, and the file may be the one to be replaced.
  if (!arguments.lists && std::getenv("NSAMETA_TUNING") != nullptr) {
    fmt::print(stderr, "nsameta: NSAMETA_TUNING is ignored while tuning\n");
    unsetenv("NSAMETA_TUNING");
  }
  const session on(chosen_device(arguments.backend, arguments.device), arguments.backend);
  const device_description where = describe_device(on);
  const auto tunables = tunables_of(on, arguments.op);
  if (!arguments.lists) {
    try {
      return tune(arguments, on, where);
    } catch (const wrong_output& e) {
      fmt::print(stderr, "nsameta: {}; nothing is written\n", e.what());
      return kExitMismatch;
    }
  }
  if (arguments.as_json) {
    fmt::print("{}\n", list_json(tunables).dump(2));
  } else {
    print_heading(where);
    print_list(tunables);
  }
  return kExitOk;
}

}  // namespace nsameta::cli
