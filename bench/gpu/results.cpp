#include "bench/gpu/results.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "nsameta/nsameta.h"

namespace nsameta::bench {
namespace {

using json = nlohmann::ordered_json;

json to_json(const spread& s) { return {{"median", s.median}, {"low", s.low}, {"high", s.high}}; }

json to_json(const row& r) {
  json out = {{"case", r.source.name},   {"group", r.source.group},
              {"impl", "nsameta"},       {"variant", r.variant},
              {"batch", r.source.batch}, {"context", std::max(r.source.context, r.source.long_context)},
              {"bytes", r.bytes},        {"floor_us", r.floor_us}};
  if (!r.error.empty()) {
    out["error"] = r.error;
    return out;
  }
  out["ok"] = r.num_wrong == 0;
  out["num_wrong"] = r.num_wrong;
  out["launches"] = r.num_launches;
  json& metrics = out["metrics"];
  metrics["graph_us"] = to_json(r.graph_us);
  if (r.cold_us) metrics["cold_us"] = to_json(*r.cold_us);
  metrics["call_ns"] = to_json(r.call_ns);
  metrics["one_shot_ns"] = to_json(r.one_shot_ns);
  metrics["empty_call_ns"] = to_json(r.empty_call_ns);
  out["share_hot"] = r.floor_us / r.graph_us.median;
  if (r.cold_us) out["share_cold"] = r.floor_us / r.cold_us->median;
  return out;
}

std::string with_spread(const spread& s) { return fmt::format("{:.2f} ({:.2f}..{:.2f})", s.median, s.low, s.high); }

}  // namespace

void print_header(const run_info& info, const baseline& limits, std::FILE* out) {
  fmt::print(out, "{}, driver {}, {}, {} repetitions; spread: quartiles of their medians\n", info.device, info.driver,
             info.date, info.num_repetitions);
  fmt::print(out,
             "copy {:.3f} TB/s ({:.3f}..{:.3f}), empty kernel in a graph {} us, launched {:.0f} ns ({:.0f}..{:.0f})\n",
             limits.copy_bytes_per_us.median / 1e6, limits.copy_bytes_per_us.low / 1e6,
             limits.copy_bytes_per_us.high / 1e6, with_spread(limits.empty_graph_us), limits.empty_call_ns.median,
             limits.empty_call_ns.low, limits.empty_call_ns.high);
  fmt::print(out,
             "floor: bytes over copy bandwidth, and an empty kernel; a page alone in its sector counts 32 bytes\n\n");
  fmt::print(out, "{:<38} {:<9} {:>22} {:>22} {:>7} {:>8} {:>7} {:>3} {:>9} {:>8} {:>5} {:>5}\n", "case", "variant",
             "graph us", "cold us", "call ns", "one-shot", "empty", "n", "MB", "floor us", "hot %", "cold %");
}

void print_row(const row& r, std::FILE* out) {
  if (!r.error.empty()) {
    fmt::print(out, "{:<38} {:<9} FAILED: {}\n", r.source.name, r.variant, r.error);
    return;
  }
  const std::string cold = r.cold_us ? with_spread(*r.cold_us) : "-";
  const std::string cold_share = r.cold_us ? fmt::format("{:.0f}", 100 * r.floor_us / r.cold_us->median) : "-";
  fmt::print(out, "{:<38} {:<9} {:>22} {:>22} {:>7.0f} {:>8.0f} {:>7.0f} {:>3} {:>9.3f} {:>8.2f} {:>5.0f} {:>5}{}\n",
             r.source.name, r.variant, with_spread(r.graph_us), cold, r.call_ns.median, r.one_shot_ns.median,
             r.empty_call_ns.median, r.num_launches, r.bytes / 1e6, r.floor_us, 100 * r.floor_us / r.graph_us.median,
             cold_share, r.num_wrong == 0 ? "" : fmt::format(" WRONG: {} elements", r.num_wrong));
  std::fflush(out);
}

std::string to_json(const run_info& info, const baseline& limits, const timer& on, const std::vector<row>& rows) {
  json out = {{"schema", "nsameta-bench-1"},
              {"program", "bench_gpu"},
              {"date", info.date},
              {"command", info.command},
              {"repetitions", info.num_repetitions},
              {"library", nsameta_build_string()},
              {"machine",
               {{"device", info.device},
                {"driver", info.driver},
                {"num_multiprocessors", on.properties().multiProcessorCount},
                {"l2_bytes", on.properties().l2CacheSize}}},
              {"baseline",
               {{"copy_bytes_per_us", to_json(limits.copy_bytes_per_us)},
                {"empty_graph_us", to_json(limits.empty_graph_us)},
                {"empty_call_ns", to_json(limits.empty_call_ns)}}}};
  json& list = out["rows"] = json::array();
  for (const row& r : rows) list.push_back(to_json(r));
  return out.dump(1) + "\n";
}

}  // namespace nsameta::bench
