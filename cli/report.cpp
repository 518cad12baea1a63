#include "cli/report.h"

#include <fmt/format.h>

#include "cli/device_choice.h"
#include "cli/text.h"

namespace nsameta::cli {
namespace {

// In the order of an engine's step.
constexpr nsameta_mode kModes[] = {NSAMETA_MODE_EXTEND, NSAMETA_MODE_DECODE, NSAMETA_MODE_TARGET_VERIFY,
                                   NSAMETA_MODE_DRAFT_EXTEND};

double us(int64_t ns) { return static_cast<double>(ns) / 1e3; }

double speedup(const mode_result& mode) {
  const auto latency = mode.lengths_ns.percentile(0.5);
  return latency > 0 ? static_cast<double>(mode.baseline_ns.percentile(0.5)) / static_cast<double>(latency) : 0;
}

double gb_per_s(const mode_result& mode) {
  return mode.latency_sum_ns > 0 ? static_cast<double>(mode.bytes) / static_cast<double>(mode.latency_sum_ns) : 0;
}

double bytes_per_step(const mode_result& mode) {
  return mode.num_builds > 0 ? static_cast<double>(mode.bytes) / static_cast<double>(mode.num_builds) : 0;
}

int64_t total_tokens(const replay_result& result) {
  int64_t sum = 0;
  for (const auto& mode : result.modes) sum += mode.num_tokens;
  return sum;
}

const char* level_name(verify_level level) {
  return level == verify_level::all ? "all" : level == verify_level::sample ? "sample" : "off";
}

std::string percent(int64_t part, int64_t whole) {
  return fmt::format("{:.1f} %", whole > 0 ? 100 * static_cast<double>(part) / static_cast<double>(whole) : 0.0);
}

void print_engine(const replay_report& report, std::FILE* out) {
  const auto& result = *report.result;
  const auto& stats = result.engine;
  const auto row = [&](const char* name, const std::string& what) { fmt::print(out, "  {:<10} {}\n", name, what); };
  const auto num_requests = static_cast<int64_t>(report.requests->requests.size());
  row("requests", fmt::format("{} served of {}{}", with_commas(stats.num_served), with_commas(num_requests),
                              stats.num_rejected > 0 ? fmt::format(", {} refused: longer than the KV pool",
                                                                   with_commas(stats.num_rejected))
                                                     : ""));
  if (report.requests->num_bad_lines > 0) {
    row("bad lines", fmt::format("{} of the trace, skipped", with_commas(report.requests->num_bad_lines)));
  }
  row("steps", fmt::format("{}: {} s simulated in {:.1f} s", with_commas(stats.num_steps),
                           with_commas(static_cast<int64_t>(result.simulated_s)), result.wall_s));
  row("batch", fmt::format("p50 {}, p99 {}, max {} requests", result.batch.percentile(0.5),
                           result.batch.percentile(0.99), result.batch.percentile(1)));
  row("tokens", fmt::format("{} prompt ({} from the prefix cache), {} generated, {} rows of metadata",
                            with_commas(stats.prompt_tokens), percent(stats.prefix_hit_tokens, stats.prompt_tokens),
                            with_commas(stats.output_tokens), with_commas(total_tokens(result))));
  row("KV pool", fmt::format("{} tokens, {} in use at most; a request had to wait in {} steps",
                             with_commas(report.options->engine.pool_tokens), with_commas(stats.peak_pool_tokens),
                             with_commas(stats.num_blocked_steps)));
}

// The tables that are built, and the size of the schedule.
void print_tables(const replay_report& report, std::FILE* out) {
  const auto& result = *report.result;
  std::string tables = "page_table_1, ";
  if (!report.options->has_wide_table) tables = "";
  if (report.options->has_wide_table && !result.has_wide_table) {
    tables = fmt::format("(page_table_1 left out: {:.1f} GB), ", 1e-9 * static_cast<double>(result.wide_table_bytes));
  }
  if (report.options->engine.page_size > 1) tables += "real_page_table, ";
  fmt::print(out, "  {:<10} {}out_slots; flattened for prompts; schedule of {} multiprocessors\n", "tables", tables,
             result.num_sms);
}

void print_modes(const replay_report& report, std::FILE* out) {
  const auto& result = *report.result;
  const auto& copy = result.copy_gb_per_s;
  fmt::print(out, "\n  {:<12}{:>9}{:>9}{:>9}{:>9}{:>10}{:>10}{:>8}{:>9}{:>12}{:>14}{:>10}\n", "build, µs", "steps",
             "p50", "p90", "p99", "max", "KB/step", "GB/s", "of copy", "lengths p50", "original p50", "speedup");
  for (const auto id : kModes) {
    const auto& mode = result.modes[id];
    if (mode.num_builds == 0) continue;
    const auto at = [&](double p) { return us(mode.latency_ns.percentile(p)); };
    fmt::print(out, "  {:<12}{:>9}{:>9.2f}{:>9.2f}{:>9.2f}{:>10.2f}{:>10.1f}{:>8.2f}{:>9}{:>12.2f}{:>14.2f}{:>9.1f}x\n",
               mode_name(id), with_commas(mode.num_builds), at(0.5), at(0.9), at(0.99), at(1),
               bytes_per_step(mode) / 1e3, gb_per_s(mode),
               copy ? fmt::format("{:.0f} %", 100 * gb_per_s(mode) / *copy) : "-", us(mode.lengths_ns.percentile(0.5)),
               us(mode.baseline_ns.percentile(0.5)), speedup(mode));
  }
  size_t num_baselines = 0;
  for (const auto& mode : result.modes) num_baselines += mode.baseline_ns.count();
  const bool is_host = report.where->is_host();
  fmt::print(out, "  timed: the library call{}, all outputs, lengths {}{}\n",
             is_host ? "" : " and the wait for the device", is_host ? "in memory" : "on the device already",
             report.options->use_graph ? fmt::format("; {} graphs", with_commas(result.num_graphs)) : "");
  fmt::print(out, "  GB/s: bytes that a build must read and write; a plain copy on this device: {}\n",
             copy ? fmt::format("{:.1f} GB/s", *copy) : "not measured");
  fmt::print(
      out, "  lengths: a build of the outputs without slots and schedules, which speedup compares with the original\n");
  fmt::print(out,
             "  original: lengths to the host, an array a request, clamped apart, two outputs; {} steps, one in {}\n\n",
             with_commas(static_cast<int64_t>(num_baselines)), kBaselineInterval);
}

void print_verdict(const replay_report& report, std::FILE* out) {
  const auto& result = *report.result;
  for (const auto& m : result.mismatches.first) {
    fmt::print(out, "  MISMATCH step {}, {}, {}[{}]: expected {}, got {}\n", m.step, mode_name(m.mode), m.output,
               m.index, m.expected, m.got);
  }
  if (result.mismatches.count > static_cast<int64_t>(result.mismatches.first.size())) {
    fmt::print(out, "  ... and {} more\n",
               with_commas(result.mismatches.count - static_cast<int64_t>(result.mismatches.first.size())));
  }
  if (report.options->verify == verify_level::off && result.mismatches.count == 0) {
    fmt::print(out, "  not verified (--verify off)\n");
  } else {
    fmt::print(out, "  verified {} builds of {} steps against the oracle: {} mismatches\n",
               with_commas(result.num_verified_builds), with_commas(result.num_verified_steps),
               with_commas(result.mismatches.count));
  }
  if (result.was_interrupted) fmt::print(out, "  INTERRUPTED: figures up to that step\n");
}

}  // namespace

void print_table(const replay_report& report, std::FILE* out) {
  print_engine(report, out);
  print_tables(report, out);
  print_modes(report, out);
  print_verdict(report, out);
}

nlohmann::ordered_json to_json(const replay_report& report) {
  const auto& result = *report.result;
  const auto& options = *report.options;
  const auto& stats = result.engine;
  nlohmann::ordered_json json;
  json["backend"] = report.where->backend();
  json["device"] = device_name(report.where->device());
  json["staged"] = report.where->is_staged();
  json["launch"] = options.use_graph ? "graph" : "eager";
  json["trace"] = report.requests->name;
  json["requests_in_trace"] = report.requests->requests.size();
  json["bad_lines"] = report.requests->num_bad_lines;
  json["requests"] = stats.num_served;
  json["rejected"] = stats.num_rejected;
  json["steps"] = stats.num_steps;
  json["tokens"] = total_tokens(result);
  json["prompt_tokens"] = stats.prompt_tokens;
  json["prefix_hit_tokens"] = stats.prefix_hit_tokens;
  json["output_tokens"] = stats.output_tokens;
  json["pool_tokens"] = options.engine.pool_tokens;
  json["peak_pool_tokens"] = stats.peak_pool_tokens;
  json["blocked_steps"] = stats.num_blocked_steps;
  json["batch"] = {{"p50", result.batch.percentile(0.5)},
                   {"p99", result.batch.percentile(0.99)},
                   {"max", result.batch.percentile(1)}};
  json["seed"] = options.engine.seed;
  json["simulated_s"] = result.simulated_s;
  json["wall_s"] = result.wall_s;
  json["interrupted"] = result.was_interrupted;
  json["verify"] = level_name(options.verify);
  json["verified_steps"] = result.num_verified_steps;
  json["verified_builds"] = result.num_verified_builds;
  json["mismatches"] = result.mismatches.count;
  json["first_mismatches"] = nlohmann::ordered_json::array();
  for (const auto& m : result.mismatches.first) {
    json["first_mismatches"].push_back({{"step", m.step},
                                        {"mode", mode_name(m.mode)},
                                        {"output", m.output},
                                        {"index", m.index},
                                        {"expected", m.expected},
                                        {"got", m.got}});
  }
  json["page_size"] = options.engine.page_size;
  json["wide_table"] = result.has_wide_table;
  json["num_sms"] = result.num_sms;
  json["copy_gb_per_s"] = result.copy_gb_per_s ? nlohmann::ordered_json(*result.copy_gb_per_s) : nullptr;
  if (options.use_graph) json["graphs"] = result.num_graphs;
  json["modes"] = nlohmann::ordered_json::object();
  for (const auto id : kModes) {
    const auto& mode = result.modes[id];
    if (mode.num_builds == 0) continue;
    const auto at = [&](double p) { return us(mode.latency_ns.percentile(p)); };
    json["modes"][mode_name(id)] = {
        {"steps", mode.num_builds},
        {"tokens", mode.num_tokens},
        {"latency_us", {{"p50", at(0.5)}, {"p90", at(0.9)}, {"p99", at(0.99)}, {"max", at(1)}}},
        {"bytes_per_step", bytes_per_step(mode)},
        {"gb_per_s", gb_per_s(mode)},
        {"lengths_us", {{"p50", us(mode.lengths_ns.percentile(0.5))}, {"samples", mode.lengths_ns.count()}}},
        {"baseline_us", {{"p50", us(mode.baseline_ns.percentile(0.5))}, {"samples", mode.baseline_ns.count()}}},
        {"speedup", speedup(mode)}};
    if (result.copy_gb_per_s) json["modes"][mode_name(id)]["bandwidth_share"] = gb_per_s(mode) / *result.copy_gb_per_s;
  }
  return json;
}

}  // namespace nsameta::cli
