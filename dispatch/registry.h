// The backends of this process, usable or not: the CPU's, which is built in, and shared objects libnsameta_<name>.so
// from the folder of libnsameta.so and from NSAMETA_BACKEND_DIR.
#pragma once

#include <string>
#include <vector>

#include "core/backend.h"

namespace nsameta::dispatch {

struct backend_entry {
  std::string name;
  std::string path;                        // "" when built in or not found
  std::string reason;                      // why it is not usable; "" when it is
  const nsameta_backend* table = nullptr;  // set exactly when it is usable
  int32_t priority = 0;
  int32_t num_devices = 0;
  std::vector<int32_t> device_types;  // memories that it reads; empty when not known

  bool usable() const { return table != nullptr; }
  bool accepts(int32_t device_type) const;
};

// A line for the log about what happened while the registry was built. It is sent afterwards: a log callback may ask
// for the registry.
struct registry_note {
  nsameta_log_level level;
  std::string text;
};

struct registry {
  std::vector<backend_entry> backends;  // by priority, highest first
  std::vector<registry_note> notes{};

  const backend_entry* find(const std::string& name) const;
};

// Where to look for shared objects, and what to say about a folder that cannot be searched.
struct search_path {
  std::vector<std::string> folders;
  std::string complaint;  // "" when all is well
};

// library_folder: that of libnsameta.so; backend_dir: NSAMETA_BACKEND_DIR, "" when not set.
search_path make_search_path(const std::string& library_folder, const std::string& backend_dir);

// Loads and probes everything. Backends stay loaded until the process ends.
registry load_registry(const search_path& path);

// The process's own, built at the first call; thread safe.
const registry& process_registry();

// Its entry `backend_idx`; INVALID_ARGUMENT when there is none.
[[nodiscard]] nsameta_status backend_at(int32_t backend_idx, const backend_entry** entry);

}  // namespace nsameta::dispatch
