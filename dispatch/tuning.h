// NSAMETA_TUNING: a file of values for the tunables of backends, as `nsameta tune` writes it; docs/TUNING.md has the
// format.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/backend.h"

namespace nsameta::dispatch {

// The values for one device of one backend.
struct tuning_entry {
  std::string place;  // in the file, for messages: "entries[0]"
  std::string backend;
  std::string device_name;
  std::string arch;
  int64_t num_multiprocessors = 0;
  std::vector<std::pair<std::string, int64_t>> values;
};

struct tuning_file {
  std::string path;   // "" when there is none
  std::string error;  // why the file cannot be used at all; "" when it can
  std::vector<tuning_entry> entries;
};

// Reads and checks what does not depend on a device. path "" gives a file without entries.
tuning_file read_tuning(const std::string& path);
// The same from a text; `path` is for messages.
tuning_file parse_tuning(const std::string& path, const std::string& text);

// That of NSAMETA_TUNING, read at the first call; thread safe.
const tuning_file& process_tuning();

// The values for this device of this backend, checked against its tunables. *entry: NULL where the file has nothing for
// the backend. INVALID_ARGUMENT where it cannot be used for the device.
[[nodiscard]] nsameta_status find_tuning(const tuning_file& file, const nsameta_backend& backend,
                                         const nsameta_device_info& device, const tuning_entry** entry);

// Sets a tunable of a backend's state; state == NULL only checks. `where` begins a message.
[[nodiscard]] nsameta_status set_tunable(const nsameta_backend& backend, void* state, const char* where,
                                         const char* name, int64_t value);

// Gives a new state of `backend` what NSAMETA_TUNING has for that device of it.
[[nodiscard]] nsameta_status apply_process_tuning(const nsameta_backend& backend, int32_t device_idx, void* state);

}  // namespace nsameta::dispatch
