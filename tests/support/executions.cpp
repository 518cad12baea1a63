#include "tests/support/executions.h"

#include <algorithm>
#include <cstdlib>
#include <ostream>
#include <sstream>

namespace nsameta::test {
namespace {

std::vector<std::string> required_backends() {
  std::vector<std::string> names;
  const char* text = std::getenv("NSAMETA_REQUIRE_BACKENDS");
  std::istringstream stream(text != nullptr ? text : "");
  for (std::string name; std::getline(stream, name, ',');) {
    if (!name.empty()) names.push_back(name);
  }
  return names;
}

void add(std::vector<execution>* list, const std::string& owner, execution_kind kind, nsameta_device device,
         const std::string& skip_reason) {
  const char* suffix = kind == execution_kind::eager ? "_eager" : kind == execution_kind::graph ? "_graph" : "_staged";
  const auto required = required_backends();
  list->push_back({.name = owner + suffix,
                   .owner = owner,
                   .backend = kind == execution_kind::staged ? "cpu" : owner,
                   .kind = kind,
                   .device = device,
                   .skip_reason = skip_reason,
                   .is_required = std::find(required.begin(), required.end(), owner) != required.end()});
}

void add_backend(std::vector<execution>* list, const std::string& name, nsameta_device device,
                 const std::string& skip_reason) {
  add(list, name, execution_kind::eager, device, skip_reason);
  if (device.type == NSAMETA_DEVICE_CPU) return;
  add(list, name, execution_kind::graph, device, skip_reason);
  add(list, name, execution_kind::staged, device, skip_reason);
}

// What the library says of its backend number `idx`.
void add_registered(std::vector<execution>* list, int32_t idx) {
  nsameta_backend_info info{};
  if (nsameta_get_backend_info(idx, &info) != NSAMETA_OK) {
    add_backend(list, "backend" + std::to_string(idx), {NSAMETA_DEVICE_CPU, 0}, nsameta_last_error_message());
    return;
  }
  const std::string name = info.name;
  nsameta_device_info device{};
  device.device.type = name == "cpu" ? NSAMETA_DEVICE_CPU : name == "hip" ? NSAMETA_DEVICE_ROCM : NSAMETA_DEVICE_CUDA;
  std::string reason = info.usable != 0 ? "" : std::string("not usable: ") + info.reason;
  if (info.usable != 0 && nsameta_get_device_info(idx, 0, &device) != NSAMETA_OK) {
    reason = std::string("no device 0: ") + nsameta_last_error_message();
  }
  add_backend(list, name, device.device, reason);
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const execution& e) { return out << e.name; }

const std::vector<execution>& executions() {
  static const std::vector<execution> list = [] {
    std::vector<execution> found;
    for (int32_t i = 0; i < nsameta_num_backends(); ++i) add_registered(&found, i);
    for (const auto& [name, type] : {std::pair{"cpu", NSAMETA_DEVICE_CPU}, std::pair{"cuda", NSAMETA_DEVICE_CUDA},
                                     std::pair{"hip", NSAMETA_DEVICE_ROCM}}) {
      const bool is_known = std::any_of(found.begin(), found.end(), [&](const auto& e) { return e.owner == name; });
      if (!is_known) add_backend(&found, name, {type, 0}, "the library does not list this backend");
    }
    return found;
  }();
  return list;
}

std::vector<std::string> unknown_required_backends() {
  std::vector<std::string> unknown;
  for (const auto& name : required_backends()) {
    const auto& all = executions();
    if (std::none_of(all.begin(), all.end(), [&](const auto& e) { return e.owner == name; })) unknown.push_back(name);
  }
  return unknown;
}

}  // namespace nsameta::test
