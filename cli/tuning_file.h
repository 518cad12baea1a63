// The file that NSAMETA_TUNING names; docs/TUNING.md has the format.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/device_description.h"

namespace nsameta::cli {

// The entries of a tuning file of this version for other devices, [] where there is no file or one of another version.
// Throws usage_error when the path holds something else, or lies in a folder that does not exist.
nlohmann::ordered_json other_entries(const std::string& path, const device_description& where);

// Writes the entries, with schema, version and date, and replaces the file at once: who reads it sees the old or the
// new one.
void write_tuning_file(const std::string& path, const nlohmann::ordered_json& entries);

// "2026-11-27T16:00:00Z"
std::string utc_now();

}  // namespace nsameta::cli
