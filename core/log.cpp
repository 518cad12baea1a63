#include "core/log.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <mutex>
#include <string_view>

namespace nsameta {
namespace {

constexpr const char* kLevelNames[] = {"off", "error", "warn", "info", "debug"};

void write_to_stderr(nsameta_log_level level, const char* message, void*) {
  std::fprintf(stderr, "nsameta [%s] %s\n", kLevelNames[level], message);
}

struct sink {
  nsameta_log_fn fn;
  void* user;
  nsameta_log_level level;
};

sink sink_from_environment() {
  const char* value = std::getenv("NSAMETA_LOG");
  if (value == nullptr || *value == '\0') return {write_to_stderr, nullptr, NSAMETA_LOG_OFF};
  for (size_t i = 0; i < std::size(kLevelNames); ++i) {
    if (std::string_view(value) == kLevelNames[i]) {
      return {write_to_stderr, nullptr, static_cast<nsameta_log_level>(i)};
    }
  }
  std::fprintf(stderr, "nsameta [warn] NSAMETA_LOG=%s is none of off, error, warn, info, debug; warn is used\n", value);
  return {write_to_stderr, nullptr, NSAMETA_LOG_WARN};
}

const sink& default_sink() {
  static const sink from_environment = sink_from_environment();
  return from_environment;
}

struct log_state {
  // Recursive, so that a callback may call the library.
  std::recursive_mutex mutex;
  sink current = default_sink();
};

// Never destroyed: other threads may log while the process exits.
log_state& state() {
  static auto* const instance = new log_state;
  return *instance;
}

}  // namespace

void log(nsameta_log_level level, const char* format, ...) {
  log_state& shared = state();
  const std::lock_guard lock(shared.mutex);
  if (level > shared.current.level) return;
  char message[4096];
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  shared.current.fn(level, message, shared.current.user);
}

void set_log_callback(nsameta_log_fn fn, void* user, nsameta_log_level level) {
  log_state& shared = state();
  const std::lock_guard lock(shared.mutex);
  shared.current = fn == nullptr ? default_sink() : sink{fn, user, level};
}

}  // namespace nsameta
