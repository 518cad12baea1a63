#include "dispatch/settings.h"

#include <cctype>
#include <cstdlib>
#include <initializer_list>
#include <string_view>

namespace nsameta::dispatch {

std::optional<bool> parse_boolean(const std::string& value) {
  std::string lower;
  for (const char c : value) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const std::string_view yes : {"true", "1", "yes", "y"}) {
    if (lower == yes) return true;
  }
  for (const std::string_view no : {"false", "0", "no", "n"}) {
    if (lower == no) return false;
  }
  return std::nullopt;
}

settings parse_settings(const char* backend, const char* triton, const char* backend_dir, const char* tuning) {
  settings parsed;
  if (backend != nullptr && std::string_view(backend) != "auto") parsed.backend = backend;
  if (backend_dir != nullptr) parsed.backend_dir = backend_dir;
  if (tuning != nullptr) parsed.tuning = tuning;
  if (triton != nullptr) {
    parsed.triton = triton;
    const std::optional<bool> allowed = parse_boolean(parsed.triton);
    if (!allowed) {
      parsed.error = std::string(kTritonVariable) + "=\"" + parsed.triton +
                     "\" is not a boolean: true, 1, yes, y or false, 0, no, n, in any case";
    }
    parsed.forbids_triton = allowed == false;
  }
  return parsed;
}

const settings& process_settings() {
  static const settings frozen = parse_settings(std::getenv(kBackendVariable), std::getenv(kTritonVariable),
                                                std::getenv(kBackendDirVariable), std::getenv(kTuningVariable));
  return frozen;
}

}  // namespace nsameta::dispatch
