#include "cli/trace_source.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "cli/error.h"
#include "cli/synthetic.h"
#include "cli/text.h"

namespace nsameta::cli {
namespace {

namespace fs = std::filesystem;

std::string find_in_folder(const fs::path& folder) {
  std::error_code error;
  std::string best;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto extension = entry.path().extension();
    if (!entry.is_regular_file(error) || (extension != ".jsonl" && extension != ".csv")) continue;
    const auto is_mooncake = [](const std::string& path) {
      return fs::path(path).filename().string().find("mooncake") != std::string::npos;
    };
    const std::string path = entry.path().string();
    const bool is_better = best.empty() || (is_mooncake(path) != is_mooncake(best) ? is_mooncake(path) : path < best);
    if (is_better) best = path;
  }
  return best;
}

}  // namespace

std::string find_trace() {
  if (const char* place = std::getenv("NSAMETA_TRACES"); place != nullptr && *place != '\0') {
    std::error_code error;
    if (!fs::exists(place, error)) throw usage_error(fmt::format("NSAMETA_TRACES={}: does not exist", place));
    if (!fs::is_directory(place, error)) return place;
    if (auto path = find_in_folder(place); !path.empty()) return path;
  }
  for (const char* folder : {"traces", "../shared/traces"}) {
    if (auto path = find_in_folder(folder); !path.empty()) return path;
  }
  return {};
}

trace load_trace(const trace_source& source) {
  const std::string path = source.path.empty() ? find_trace() : source.path;
  if (path.empty()) return make_synthetic_trace(source.num_synthetic_requests, source.seed);
  return read_trace(path, source.format);
}

std::string describe(const trace& requests) {
  const int64_t duration_us = requests.requests.back().arrival_us;
  const bool is_synthetic = requests.name == "synthetic";
  return fmt::format("{}: {} requests over {} s{}", is_synthetic ? "synthetic workload" : "trace " + requests.name,
                     with_commas(static_cast<int64_t>(requests.requests.size())),
                     with_commas((duration_us + 500'000) / 1'000'000),
                     is_synthetic ? " (no trace found; --trace names one)" : "");
}

}  // namespace nsameta::cli
