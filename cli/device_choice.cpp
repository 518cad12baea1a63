#include "cli/device_choice.h"

#include <fmt/format.h>

#include <charconv>

#include "cli/error.h"
#include "nsameta/nsameta.hpp"

namespace nsameta::cli {

nsameta_device parse_device(const std::string& text) {
  const size_t colon = text.find(':');
  const std::string type = text.substr(0, colon);
  nsameta_device device = kCpuDevice;
  if (type == "cuda") {
    device.type = NSAMETA_DEVICE_CUDA;
  } else if (type == "rocm") {
    device.type = NSAMETA_DEVICE_ROCM;
  } else if (text != "cpu") {
    throw usage_error(fmt::format("--device={} must be cpu, cuda[:id] or rocm[:id]", text));
  }
  if (colon != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto [parsed, error] = std::from_chars(text.data() + colon + 1, end, device.id);
    if (error != std::errc() || parsed != end || device.id < 0) {
      throw usage_error(fmt::format("--device={}: the id after ':' must be a number >= 0", text));
    }
  }
  return device;
}

std::string device_name(nsameta_device device) {
  switch (device.type) {
    case NSAMETA_DEVICE_CUDA: return fmt::format("cuda:{}", device.id);
    case NSAMETA_DEVICE_ROCM: return fmt::format("rocm:{}", device.id);
    default: return "cpu";
  }
}

nsameta_device default_device(const std::string& backend) {
  const backend_info* best = nullptr;
  const auto all = backends();
  for (const auto& candidate : all) {
    if (!candidate.usable || candidate.devices.empty()) continue;
    if (backend != "auto" && backend != candidate.name) continue;
    if (best == nullptr || candidate.priority > best->priority) best = &candidate;
  }
  if (best != nullptr) return best->devices.front().device;
  // Not usable here: asking for its memory makes the library say why.
  if (backend == "cuda") return {NSAMETA_DEVICE_CUDA, 0};
  if (backend == "hip") return {NSAMETA_DEVICE_ROCM, 0};
  return kCpuDevice;
}

}  // namespace nsameta::cli
