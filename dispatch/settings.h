// What the environment says about the choice of a backend and its tuning. Read once per process and frozen.
#pragma once

#include <optional>
#include <string>

namespace nsameta::dispatch {

inline constexpr const char* kBackendVariable = "NSAMETA_BACKEND";
inline constexpr const char* kTritonVariable = "SGLANG_NSA_USE_TRITON_METADATA";
inline constexpr const char* kBackendDirVariable = "NSAMETA_BACKEND_DIR";
inline constexpr const char* kTuningVariable = "NSAMETA_TUNING";

struct settings {
  std::string backend;  // "" when NSAMETA_BACKEND is unset, empty or auto
  bool forbids_triton = false;
  std::string triton;       // the variable's value as it was spelt, for messages
  std::string backend_dir;  // "" when unset or empty
  std::string tuning;       // path of a file, see tuning.h; "" when unset or empty
  std::string error;        // names the variable that cannot be read; no backend is chosen then
};

// SGLang's booleans: true, 1, yes, y and false, 0, no, n, in any case. nullopt for anything else.
std::optional<bool> parse_boolean(const std::string& value);

// NULL: the variable is not set.
settings parse_settings(const char* backend, const char* triton, const char* backend_dir, const char* tuning = nullptr);

const settings& process_settings();

}  // namespace nsameta::dispatch
