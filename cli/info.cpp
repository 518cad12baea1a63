#include "cli/info.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/device_choice.h"
#include "cli/error.h"
#include "nsameta/nsameta.hpp"

namespace nsameta::cli {
namespace {

using json = nlohmann::ordered_json;

// null: the defaults are in force.
json describe_tuning(int32_t backend_idx, int32_t device_idx, bool* has_failed) {
  nsameta_tuning tuning{};
  if (nsameta_get_tuning(backend_idx, device_idx, &tuning) != NSAMETA_OK) {
    *has_failed = true;
    return {{"error", nsameta_last_error_message()}};
  }
  if (tuning.is_applied == 0) return nullptr;
  return {{"file", tuning.file}, {"num_values", tuning.num_values}};
}

json describe_devices(int32_t backend_idx, int32_t num_devices, bool* has_failed) {
  json devices = json::array();
  for (int32_t i = 0; i < num_devices; ++i) {
    nsameta_device_info info;
    if (nsameta_get_device_info(backend_idx, i, &info) != NSAMETA_OK) {
      devices.push_back({{"error", nsameta_last_error_message()}});
      continue;
    }
    devices.push_back({{"device", device_name(info.device)},
                       {"name", info.name},
                       {"arch", info.arch},
                       {"memory_bytes", info.memory_bytes},
                       {"warp_width", info.warp_width},
                       {"num_multiprocessors", info.num_multiprocessors},
                       {"tuning", describe_tuning(backend_idx, i, has_failed)}});
  }
  return devices;
}

// Sets *has_failed when NSAMETA_TUNING cannot be used for a device.
json describe_backends(bool* has_failed) {
  json backends = json::array();
  for (int32_t i = 0; i < nsameta_num_backends(); ++i) {
    nsameta_backend_info info;
    throw_on_failure(nsameta_get_backend_info(i, &info));
    backends.push_back({{"name", info.name},
                        {"usable", info.usable != 0},
                        {"reason", info.reason},
                        {"path", info.path},
                        {"priority", info.priority},
                        {"devices", describe_devices(i, info.usable != 0 ? info.num_devices : 0, has_failed)}});
  }
  return backends;
}

// Sets *has_failed when the library cannot choose at all, which an environment variable must have caused.
json describe_selection(bool* has_failed) {
  const struct {
    const char* name;
    nsameta_device device;
  } memories[] = {{"cpu", kCpuDevice}, {"cuda", {NSAMETA_DEVICE_CUDA, 0}}, {"rocm", {NSAMETA_DEVICE_ROCM, 0}}};
  json selection;
  bool has_any = false;
  for (const auto& memory : memories) {
    nsameta_selection chosen{};
    const auto status = nsameta_select_backend(memory.device, nullptr, &chosen);
    const bool is_chosen = status == NSAMETA_OK && chosen.backend != nullptr;
    const char* reason = status == NSAMETA_OK ? chosen.reason : nsameta_last_error_message();
    selection[memory.name] = {{"backend", is_chosen ? json(chosen.backend) : json()},
                              {"staged", is_chosen && chosen.staged != 0},
                              {"reason", reason != nullptr ? reason : ""}};
    *has_failed |= status != NSAMETA_OK;
    has_any |= is_chosen;
  }
  *has_failed |= !has_any;
  return selection;
}

std::string text(const json& value) { return value.get<std::string>(); }

void print_tuning(const json& tuning) {
  if (tuning.is_null()) return;
  fmt::print("  {:<9} {:<7} tuning: {}\n", "", "",
             tuning.contains("error")
                 ? text(tuning["error"])
                 : fmt::format("{} values from {}", tuning["num_values"].get<int>(), text(tuning["file"])));
}

void print_backends(const json& backends) {
  fmt::print("\n  backend   usable  device\n");
  for (const auto& backend : backends) {
    const auto& devices = backend["devices"];
    const bool is_usable = backend["usable"].get<bool>();
    fmt::print("  {:<9} {:<7} ", text(backend["name"]), is_usable ? "yes" : "no");
    if (!is_usable) fmt::print("{}\n", text(backend["reason"]));
    if (is_usable && devices.empty()) fmt::print("none\n");
    for (size_t i = 0; i < devices.size(); ++i) {
      const auto& device = devices[i];
      if (i > 0) fmt::print("  {:<9} {:<7} ", "", "");
      if (device.contains("error")) {
        fmt::print("{}\n", text(device["error"]));
        continue;
      }
      constexpr double kGib = 1024.0 * 1024.0 * 1024.0;
      const auto width = device["warp_width"].get<int>();
      fmt::print("{}: {}, {}, {:.0f} GiB, {} {}{}\n", text(device["device"]), text(device["name"]),
                 text(device["arch"]), device["memory_bytes"].get<double>() / kGib,
                 device["num_multiprocessors"].get<int>(), width > 1 ? "multiprocessors" : "threads",
                 width > 1 ? fmt::format(", warp {}", width) : "");
      print_tuning(device["tuning"]);
    }
  }
}

// The sentence without the list of backends at its end, which the table above shows.
std::string without_list(std::string reason, const json& backends) {
  for (const auto& backend : backends) {
    const auto entry = reason.find(text(backend["name"]) + ": " + text(backend["reason"]));
    if (entry != std::string::npos) reason.resize(entry);
  }
  for (const std::string_view opening : {" (", ". Backends: "}) {
    if (reason.ends_with(opening)) reason.resize(reason.size() - opening.size());
  }
  return reason;
}

void print_selection(const json& selection, const json& backends) {
  fmt::print("\n  memory    served by  why\n");
  for (const auto& [memory, chosen] : selection.items()) {
    const std::string backend = chosen["backend"].is_null() ? "-" : text(chosen["backend"]);
    fmt::print("  {:<9} {:<10} {}{}\n", memory, backend,
               chosen["staged"].get<bool>() ? "staged through the host; " : "",
               without_list(text(chosen["reason"]), backends));
  }
}

}  // namespace

int run_info(bool as_json) {
  bool has_failed = false;
  json info;
  info["version"] = nsameta_version_string();
  info["abi_version"] = nsameta_abi_version();
  info["build"] = nsameta_build_string();
  info["backends"] = describe_backends(&has_failed);
  info["selection"] = describe_selection(&has_failed);
  if (as_json) {
    fmt::print("{}\n", info.dump(2));
  } else {
    fmt::print("nsameta {}, ABI {}, {}\n", text(info["version"]), info["abi_version"].get<uint32_t>(),
               text(info["build"]));
    print_backends(info["backends"]);
    print_selection(info["selection"], info["backends"]);
  }
  return has_failed ? kExitUsage : kExitOk;
}

}  // namespace nsameta::cli
