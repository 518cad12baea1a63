// bench_cpu: speed of the CPU backend, with Google Benchmark.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <tbb/task_arena.h>

#include <cstring>
#include <exception>
#include <fstream>
#include <stdexcept>

#include "backends/cpu/policy.h"
#include "backends/cpu/settings.h"
#include "bench/cpu/benchmarks.h"

namespace nsameta::bench {
namespace {

constexpr const char* kHelp =
    R"(Times the CPU backend of nsameta, with Google Benchmark. Every result is compared with the oracle first.

  <group>/<shape>  every case of bench/cases.json, with all threads
  scaling/...      the seed operation by batch, tokens of a request and threads; scaling_tables: page tables
  enqueue/...      what a call costs the host
  crossing/...     one thread against all, and stores through the cache against those past it, whatever the policy says

share_of_fill: time of a non-temporal fill of as many bytes, beside each run, over that of the run.
Exit codes: 0 all is well; 1 a result is wrong; 2 bad arguments.

Examples:
  bench_cpu --benchmark_filter=^verify/
  bench_cpu --benchmark_filter=scaling --benchmark_repetitions=5 --benchmark_out=cpu.json
  NSAMETA_CPU_ISA=avx2 taskset -c 0-7 bench_cpu --benchmark_filter=scaling     eight cores, and AVX2
  numactl -N 0 -m 0 bench_cpu        the cores and the memory of one node of several

)";

bool failed = false;

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace

const context& cpu_context() {
  static const context made(kCpuDevice, "cpu");
  return made;
}

void fail(benchmark::State& state, const std::string& message) {
  failed = true;
  state.SkipWithError(message.c_str());
}

bool has_failed() { return failed; }

}  // namespace nsameta::bench

int main(int argc, char** argv) {
  namespace bench = nsameta::bench;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--help") == 0) fmt::print("{}", bench::kHelp);
  }
  try {
    benchmark::Initialize(&argc, argv);
    const auto& settings = nsameta::cpu::process_settings();
    if (!settings.error.empty()) throw std::runtime_error(settings.error);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::AddCustomContext("processor", bench::processor());
    benchmark::AddCustomContext("threads", std::to_string(tbb::this_task_arena::max_concurrency()));
    benchmark::AddCustomContext("library", nsameta_build_string());
    benchmark::AddCustomContext("isa", settings.loops->isa);
    benchmark::AddCustomContext("policy", to_string(nsameta::cpu::default_policy()));
    bench::register_enqueue();
    bench::register_scaling();
    bench::register_crossing();
    bench::register_cases();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_cpu: {}\n", e.what());
    return 1;
  }
  return bench::has_failed() ? 1 : 0;
}
