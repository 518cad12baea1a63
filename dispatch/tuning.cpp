#include "dispatch/tuning.h"

#include <cerrno>
#include <cinttypes>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "core/log.h"
#include "core/status.h"
#include "dispatch/context.h"
#include "dispatch/settings.h"

namespace nsameta::dispatch {
namespace {

using nlohmann::json;

constexpr const char* kSchema = "nsameta-tuning-1";

std::string quoted(const std::string& text) { return '"' + text + '"'; }

// A member that must be there and of that kind; throws with its place and name.
template <class T>
T member(const json& object, const char* name, const std::string& place, const char* kind) {
  const std::string full = place.empty() ? name : place + '.' + name;
  if (!object.is_object()) throw std::invalid_argument((place.empty() ? "the file" : place) + " must be an object");
  const auto found = object.find(name);
  if (found == object.end()) throw std::invalid_argument(full + " is missing");
  const bool is_right = std::is_same_v<T, std::string> ? found->is_string()
                        : std::is_same_v<T, int64_t>   ? found->is_number_integer()
                                                       : true;
  if (!is_right) throw std::invalid_argument(full + '=' + found->dump() + " must be " + kind);
  return found->get<T>();
}

std::string text_of(const json& object, const char* name, const std::string& place = "") {
  return member<std::string>(object, name, place, "a string");
}

tuning_entry parse_entry(const json& object, const std::string& place) {
  tuning_entry entry;
  entry.place = place;
  entry.backend = text_of(object, "backend", place);
  const auto device = member<json>(object, "device", place, "an object");
  const std::string device_place = place + ".device";
  entry.device_name = text_of(device, "name", device_place);
  entry.arch = text_of(device, "arch", device_place);
  entry.num_multiprocessors = member<int64_t>(device, "num_multiprocessors", device_place, "an integer");
  const auto values = member<json>(object, "values", place, "an object");
  if (!values.is_object()) throw std::invalid_argument(place + ".values must be an object");
  for (const auto& [name, value] : values.items()) {
    entry.values.emplace_back(name, member<int64_t>(values, name.c_str(), place + ".values", "an integer"));
  }
  return entry;
}

std::vector<tuning_entry> parse_entries(const std::string& text) {
  const json document = json::parse(text);
  if (const auto schema = text_of(document, "schema"); schema != kSchema) {
    throw std::invalid_argument("schema=" + quoted(schema) + " must be " + quoted(kSchema));
  }
  if (const auto version = text_of(document, "version"); version != nsameta_version_string()) {
    throw std::invalid_argument("version=" + quoted(version) + " must be " + quoted(nsameta_version_string()) +
                                ", that of this library: run `nsameta tune` again");
  }
  const auto entries = member<json>(document, "entries", "", "a list");
  if (!entries.is_array()) throw std::invalid_argument("entries must be a list");
  std::vector<tuning_entry> parsed;
  for (size_t i = 0; i < entries.size(); ++i) {
    parsed.push_back(parse_entry(entries[i], "entries[" + std::to_string(i) + "]"));
  }
  return parsed;
}

std::string prefix(const std::string& path) { return std::string(kTuningVariable) + "=" + path + ": "; }

// What tells the entry's device from this one; "" when they are the same.
std::string difference(const tuning_entry& entry, const nsameta_device_info& device) {
  const auto text = [&](const char* field, const std::string& found, const std::string& wanted) {
    return entry.place + ".device." + field + "=" + found + " must be " + wanted;
  };
  if (entry.device_name != device.name) return text("name", quoted(entry.device_name), quoted(device.name));
  if (entry.arch != device.arch) return text("arch", quoted(entry.arch), quoted(device.arch));
  if (entry.num_multiprocessors != device.num_multiprocessors) {
    return text("num_multiprocessors", std::to_string(entry.num_multiprocessors),
                std::to_string(device.num_multiprocessors));
  }
  return "";
}

}  // namespace

tuning_file parse_tuning(const std::string& path, const std::string& text) {
  tuning_file file{path, "", {}};
  try {
    file.entries = parse_entries(text);
  } catch (const json::exception& e) {
    file.error = prefix(path) + "is not JSON: " + e.what();
  } catch (const std::invalid_argument& e) {
    file.error = prefix(path) + e.what();
  }
  return file;
}

tuning_file read_tuning(const std::string& path) {
  if (path.empty()) return {};
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) return {path, prefix(path) + "cannot be read: " + std::strerror(errno), {}};
  return parse_tuning(path, text);
}

const tuning_file& process_tuning() {
  // Never destroyed: the strings that it hands out live as long as the process.
  static const auto* const frozen = new tuning_file(read_tuning(process_settings().tuning));
  return *frozen;
}

nsameta_status set_tunable(const nsameta_backend& backend, void* state, const char* where, const char* name,
                           int64_t value) {
  const int32_t num_tunables = backend.num_tunables == nullptr ? 0 : backend.num_tunables();
  for (int32_t i = 0; i < num_tunables; ++i) {
    nsameta_tunable tunable{};
    backend.get_tunable(nullptr, i, &tunable);
    if (std::strcmp(tunable.name, name) != 0) continue;
    if (value < tunable.least || value > tunable.most) {
      return fail(NSAMETA_INVALID_ARGUMENT, "%s%s=%" PRId64 " must be in [%" PRId64 ", %" PRId64 "]", where, name,
                  value, tunable.least, tunable.most);
    }
    if (state != nullptr) backend.set_tunable(state, i, value);
    return NSAMETA_OK;
  }
  return fail(NSAMETA_INVALID_ARGUMENT, "%s%s is not a tunable of backend %s", where, name, backend.name);
}

nsameta_status find_tuning(const tuning_file& file, const nsameta_backend& backend, const nsameta_device_info& device,
                           const tuning_entry** entry) {
  *entry = nullptr;
  if (!file.error.empty()) return fail(NSAMETA_INVALID_ARGUMENT, "%s", file.error.c_str());
  std::string differences;
  for (const tuning_entry& candidate : file.entries) {
    if (candidate.backend != backend.name) continue;
    const std::string other = difference(candidate, device);
    if (other.empty()) {
      *entry = &candidate;
      break;
    }
    differences += (differences.empty() ? "" : "; ") + other;
  }
  if (*entry == nullptr) {
    if (differences.empty()) return NSAMETA_OK;
    return fail(NSAMETA_INVALID_ARGUMENT, "%s%s, that of this device of backend %s", prefix(file.path).c_str(),
                differences.c_str(), backend.name);
  }
  const std::string where = prefix(file.path) + (*entry)->place + ".values.";
  for (const auto& [name, value] : (*entry)->values) {
    const auto status = set_tunable(backend, nullptr, where.c_str(), name.c_str(), value);
    if (status != NSAMETA_OK) return status;
  }
  return NSAMETA_OK;
}

nsameta_status apply_process_tuning(const nsameta_backend& backend, int32_t device_idx, void* state) {
  const tuning_file& file = process_tuning();
  if (file.path.empty()) return NSAMETA_OK;
  nsameta_device_info device{};
  if (const auto status = backend.device_info(device_idx, &device); status != NSAMETA_OK) {
    return from_backend(backend, status);
  }
  const tuning_entry* entry = nullptr;
  if (const auto status = find_tuning(file, backend, device, &entry); status != NSAMETA_OK) return status;
  if (entry == nullptr) return NSAMETA_OK;
  for (const auto& [name, value] : entry->values) {
    if (const auto status = set_tunable(backend, state, "", name.c_str(), value); status != NSAMETA_OK) return status;
  }
  log(NSAMETA_LOG_INFO, "%s%zu values for backend %s", prefix(file.path).c_str(), entry->values.size(), backend.name);
  return NSAMETA_OK;
}

}  // namespace nsameta::dispatch
