#include "backends/cpu/settings.h"

#include <tbb/info.h>

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "backends/cpu/isa.h"

namespace nsameta::cpu {
namespace {

bool is_set(const char* value) { return value != nullptr && *value != '\0'; }

std::string refusal(const char* variable, const char* value, const std::string& allowed) {
  return std::string(variable) + '=' + value + " must be " + allowed;
}

}  // namespace

settings parse_settings(const char* isa, const char* threads, const std::vector<const loops*>& runnable,
                        int max_threads) {
  settings parsed;
  parsed.loops = runnable.front();
  if (is_set(isa)) {
    parsed.loops = nullptr;
    for (const loops* table : runnable) {
      if (std::string_view(table->isa) == isa) parsed.loops = table;
    }
    if (parsed.loops == nullptr) {
      parsed.error = refusal(kIsaVariable, isa, "one of those that this CPU can run: " + isa_names(runnable));
      return parsed;
    }
  }
  if (is_set(threads)) {
    const std::string_view text(threads);
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), parsed.num_threads);
    const bool is_number = code == std::errc() && end == text.data() + text.size();
    if (!is_number || parsed.num_threads < 1 || parsed.num_threads > max_threads) {
      parsed.error = refusal(kThreadsVariable, threads,
                             "a number from 1 to " + std::to_string(max_threads) + ", the CPUs this process may use");
    }
  }
  return parsed;
}

const settings& process_settings() {
  static const settings frozen = [] {
    const char* threads = std::getenv(kThreadsVariable);
    return parse_settings(std::getenv(kIsaVariable), threads, runnable_loops(),
                          is_set(threads) ? tbb::info::default_concurrency() : 0);
  }();
  return frozen;
}

}  // namespace nsameta::cpu
