// Brings one backend from a file, or a built-in table, to an entry of the registry. Whatever goes wrong becomes the
// entry's reason.
#pragma once

#include <string>

#include "dispatch/registry.h"

namespace nsameta::dispatch {

// The name in libnsameta_<name>.so, "" for any other file name. Versioned names are other names.
std::string plugin_name(const std::string& file_name);

backend_entry load_plugin(const std::string& name, const std::string& path);

// Checks and probes `table` into `entry`, whose name and path are set.
void admit(const nsameta_backend* table, backend_entry* entry);

}  // namespace nsameta::dispatch
