// What `nsameta bench` and `nsameta tune` say about where they ran, and the options that choose it.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/session.h"

namespace nsameta::cli {

struct device_description {
  std::string backend;  // that runs the operations
  std::string device;   // "cuda:0"
  std::string name;     // of the device on which they run, as the next two
  std::string arch;
  int32_t num_multiprocessors = 0;
  bool is_staged = false;
  bool uses_graphs = false;
  nsameta_tuning tuning{};

  // "default tunables", "4 tunables from FILE"
  std::string tuning_text() const;
};

void add_device_options(CLI::App* app, std::string* backend, std::string* device);
// The device named, or the one that the backend works on.
nsameta_device chosen_device(const std::string& backend, const std::string& device);

device_description describe_device(const session& on);
nlohmann::ordered_json to_json(const device_description& where);

}  // namespace nsameta::cli
