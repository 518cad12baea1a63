#include "dispatch/select.h"

#include <cstring>

#include "core/tensor.h"

namespace nsameta::dispatch {
namespace {

// A backend asked for by name, and where the name came from.
struct request {
  std::string name;    // "" when priority decides
  std::string origin;  // "backend=cuda", "NSAMETA_BACKEND=cuda", ...
};

request requested_backend(const char* name, const settings& overrides) {
  if (name != nullptr && *name != '\0' && std::strcmp(name, "auto") != 0) {
    return {name, std::string("backend argument \"") + name + "\""};
  }
  if (!overrides.backend.empty()) return {overrides.backend, std::string(kBackendVariable) + "=" + overrides.backend};
  if (overrides.forbids_triton) return {"cpu", std::string(kTritonVariable) + "=" + overrides.triton};
  return {};
}

std::string memory_name(nsameta_device device) { return std::string(device_type_name(device.type)) + " memory"; }

std::string accepted_memories(const backend_entry& entry) {
  std::string names;
  for (const int32_t type : entry.device_types)
    names += (names.empty() ? "" : " and ") + std::string(device_type_name(type));
  return names;
}

// What speaks against each backend for this memory; an operator must find the cause in this one line.
std::string describe_all(nsameta_device device, const registry& all) {
  std::string text;
  for (const backend_entry& entry : all.backends) {
    text += (text.empty() ? "" : "; ") + entry.name + ": ";
    if (!entry.usable()) {
      text += entry.reason;
    } else if (entry.accepts(device.type)) {
      text += "usable";
    } else {
      text += "usable, but reads " + accepted_memories(entry) + " memory only";
    }
  }
  return text;
}

selection refuse(nsameta_status status, std::string message) {
  selection refused;
  refused.status = status;
  refused.message = std::move(message);
  return refused;
}

selection refuse_backend(const std::string& what, nsameta_device device, const registry& all) {
  return refuse(NSAMETA_BACKEND_UNAVAILABLE, what + ". Backends: " + describe_all(device, all));
}

selection refuse_id(nsameta_device device, const backend_entry& entry) {
  return refuse(NSAMETA_INVALID_ARGUMENT, "device id " + std::to_string(device.id) + " of " + memory_name(device) +
                                              " must be in [0, " + std::to_string(entry.num_devices) + "): backend " +
                                              entry.name + " has " + std::to_string(entry.num_devices) +
                                              (entry.num_devices == 1 ? " device" : " devices"));
}

bool has_device(const backend_entry& entry, int32_t id) { return id >= 0 && id < entry.num_devices; }

// The usable backend of highest priority that reads this memory and has the device, else the first that lacks only the
// device, else NULL.
const backend_entry* find_owner(nsameta_device device, const registry& all) {
  const backend_entry* without_device = nullptr;
  for (const backend_entry& entry : all.backends) {
    if (!entry.usable() || !entry.accepts(device.type)) continue;
    if (has_device(entry, device.id)) return &entry;
    if (without_device == nullptr) without_device = &entry;
  }
  return without_device;
}

selection select_named(nsameta_device device, const request& wanted, const registry& all) {
  const backend_entry* entry = all.find(wanted.name);
  if (entry == nullptr) return refuse_backend(wanted.origin + " is not a backend", device, all);
  if (!entry->usable()) return refuse_backend(wanted.origin + " is not usable", device, all);
  selection chosen;
  chosen.backend = entry;
  chosen.owner = entry;
  chosen.reason = wanted.origin;
  if (!entry->accepts(device.type)) {
    if (entry->name != "cpu") {
      return refuse_backend(wanted.origin + " does not read " + memory_name(device), device, all);
    }
    chosen.owner = find_owner(device, all);
    if (chosen.owner == nullptr) {
      return refuse_backend(
          wanted.origin + " needs a backend that can copy " + memory_name(device) + " to the host, and none is usable",
          device, all);
    }
  }
  if (!has_device(*chosen.owner, device.id)) return refuse_id(device, *chosen.owner);
  return chosen;
}

// Backends that would have come before `chosen` had they been usable. Host memory is what is left when no GPU can be
// reached, so there every one counts.
std::string passed_over(nsameta_device device, const backend_entry& chosen, const registry& all) {
  std::string text;
  for (const backend_entry& entry : all.backends) {
    if (&entry == &chosen) break;
    const bool is_rival = device.type == NSAMETA_DEVICE_CPU || entry.device_types.empty() || entry.accepts(device.type);
    if (!entry.usable() && is_rival) text += (text.empty() ? "" : "; ") + entry.name + ": " + entry.reason;
  }
  return text;
}

selection select_by_priority(nsameta_device device, const registry& all) {
  const backend_entry* entry = find_owner(device, all);
  if (entry == nullptr) return refuse_backend("no usable backend reads " + memory_name(device), device, all);
  if (!has_device(*entry, device.id)) return refuse_id(device, *entry);
  selection chosen;
  chosen.backend = entry;
  chosen.owner = entry;
  chosen.reason = "priority";
  if (const std::string others = passed_over(device, *entry, all); !others.empty()) {
    chosen.is_notable = true;
    chosen.reason += " (" + others + ")";
  }
  return chosen;
}

}  // namespace

selection select(nsameta_device device, const char* name, const settings& overrides, const registry& all) {
  if (!overrides.error.empty()) return refuse(NSAMETA_INVALID_ARGUMENT, overrides.error);
  if (device.type != NSAMETA_DEVICE_CPU && device.type != NSAMETA_DEVICE_CUDA && device.type != NSAMETA_DEVICE_ROCM) {
    return refuse(NSAMETA_INVALID_ARGUMENT,
                  "device type " + std::to_string(device.type) + " must be 1 (cpu), 2 (cuda) or 10 (rocm)");
  }
  const request wanted = requested_backend(name, overrides);
  if (wanted.name.empty()) return select_by_priority(device, all);
  selection chosen = select_named(device, wanted, all);
  if (chosen.status == NSAMETA_OK) {
    const selection unforced = select_by_priority(device, all);
    chosen.is_notable = unforced.backend != chosen.backend;
  }
  return chosen;
}

}  // namespace nsameta::dispatch
