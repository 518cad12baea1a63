// bench_load: what loading the library and its first calls take, in fresh processes, beside a bare CUDA program.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/load/library_process.h"
#include "bench/load/processes.h"

namespace nsameta::bench {
namespace {

constexpr const char* kExamples = R"(
examples:
  bench_load                                    the CPU backend
  bench_load --device cuda --runs 50            beside the bare CUDA program
  bench_load --library DIR/libnsameta.so        with the backends that lie in DIR
  bench_load --device cuda --json load.json

Every run is a process of its own; one of each kind before them fills the file cache and is not counted.)";

struct options {
  std::string library;
  std::string bare;
  std::string device = "cpu";
  std::string json;
  int device_id = 0;
  int runs = 20;
  bool is_child = false;
};

const std::map<std::string, nsameta_device_type> kDeviceTypes = {
    {"cpu", NSAMETA_DEVICE_CPU}, {"cuda", NSAMETA_DEVICE_CUDA}, {"rocm", NSAMETA_DEVICE_ROCM}};

std::filesystem::path own_path() { return std::filesystem::canonical("/proc/self/exe"); }

std::vector<std::string> library_command(const options& o) {
  return {own_path(), "--child", "--library",   o.library,
          "--device", o.device,  "--device-id", std::to_string(o.device_id)};
}

std::string in_us(const spread& s) { return fmt::format("{:>10.1f} {:>10.1f} {:>10.1f}", s.median, s.min, s.max); }

struct row {
  std::string name;
  std::string bare_name;
  std::vector<stage_index> stages;
};

std::vector<row> make_rows() {
  std::vector<row> rows;
  for (std::size_t i = 0; i < kNumStages; ++i) {
    rows.push_back({kStages[i].what, kStages[i].bare, {static_cast<stage_index>(i)}});
  }
  rows.push_back({"load and probe", "", {LOAD, PROBE}});
  rows.push_back({"all, to the first results", "", {LOAD, PROBE, CREATE, ALLOCATE, FIRST}});
  return rows;
}

bool has_any(const process_samples& samples, const row& r) {
  for (const stage_index stage : r.stages) {
    if (samples.has(stage)) return true;
  }
  return false;
}

void print_table(const process_samples& ours, const process_samples& bare) {
  fmt::print("{} fresh processes, us: median, min, max\n{:<28}{:^33}", ours.count(), "",
             "nsameta, backend " + ours.what_ran());
  if (bare.count() > 0) fmt::print("{:^33}  and there", bare.what_ran());
  fmt::print("\n");
  for (const row& r : make_rows()) {
    fmt::print("{:<28}{}", r.name, in_us(ours.of(r.stages)));
    if (has_any(bare, r)) fmt::print(" {}  {}", in_us(bare.of(r.stages)), r.bare_name);
    fmt::print("\n");
  }
  if (bare.count() == 0) return;
  fmt::print("load and probe beyond the driver's own initialisation, medians: {:.2f} ms (at most 50)\n",
             (ours.of({LOAD, PROBE}).median - bare.of({PROBE}).median) / 1e3);
}

nlohmann::json to_json(const process_samples& samples) {
  nlohmann::json stages;
  for (const row& r : make_rows()) {
    if (!has_any(samples, r)) continue;
    const spread s = samples.of(r.stages);
    stages[r.name] = {{"median_us", s.median}, {"min_us", s.min}, {"max_us", s.max}};
  }
  return {{"what", samples.what_ran()}, {"runs", samples.count()}, {"stages", stages}};
}

// In turns, so that a busy minute of the machine meets both.
void measure(const options& o, process_samples* ours, process_samples* bare) {
  const bool with_bare = o.device == "cuda";
  const std::vector<std::string> bare_command = {o.bare, std::to_string(o.device_id)};
  for (int i = -1; i < o.runs; ++i) {
    if (isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\rrun {} of {}", i + 1, o.runs);
    process_samples warm_up;
    (i < 0 ? warm_up : *ours).run(library_command(o));
    if (with_bare) (i < 0 ? warm_up : *bare).run(bare_command);
  }
  if (isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r\033[K");
}

options read_options(int argc, char** argv) {
  options o;
  o.library = (own_path().parent_path().parent_path() / "lib/libnsameta.so").string();
  o.bare = (own_path().parent_path() / "bench_load_bare_cuda").string();
  CLI::App app{"Times loading the library, the probe of its backends and the first calls, in fresh processes."};
  app.footer(kExamples);
  app.add_option("--device", o.device, "cpu, cuda (beside the bare program) or rocm")
      ->check(CLI::IsMember({"cpu", "cuda", "rocm"}))
      ->capture_default_str();
  app.add_option("--device-id", o.device_id, "which of them")->check(CLI::Range(0, 1023))->capture_default_str();
  app.add_option("--runs", o.runs, "processes")->check(CLI::Range(1, 10000))->capture_default_str();
  app.add_option("--library", o.library, "libnsameta.so to load")->capture_default_str();
  app.add_option("--bare", o.bare, "the bare CUDA program")->capture_default_str();
  app.add_option("--json", o.json, "also write the figures to a file, - for standard output alone");
  app.add_flag("--child", o.is_child, "be one of the processes: print the stages and end")->group("");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    std::exit(app.exit(e));
  }
  return o;
}

int run(const options& o) {
  if (o.is_child) return run_library_process(o.library, {kDeviceTypes.at(o.device), o.device_id});
  try {
    process_samples ours;
    process_samples bare;
    measure(o, &ours, &bare);
    if (o.json != "-") print_table(ours, bare);
    if (o.json.empty()) return 0;
    nlohmann::json all = nlohmann::json::array({to_json(ours)});
    if (bare.count() > 0) all.push_back(to_json(bare));
    if (o.json == "-") {
      fmt::print("{}\n", all.dump(2));
    } else if (std::ofstream file(o.json); !(file << all.dump(2) << '\n' << std::flush)) {
      throw std::runtime_error(fmt::format("--json={}: cannot be written", o.json));
    }
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_load: {}\n", e.what());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace nsameta::bench

int main(int argc, char** argv) { return nsameta::bench::run(nsameta::bench::read_options(argc, argv)); }
