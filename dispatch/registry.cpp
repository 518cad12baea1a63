#include "dispatch/registry.h"

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <system_error>

#include "backends/cpu/backend.h"
#include "core/log.h"
#include "core/status.h"
#include "dispatch/plugin.h"
#include "dispatch/settings.h"

namespace nsameta::dispatch {
namespace {

namespace fs = std::filesystem;

// Backends of this project that are named even when their file is absent, with what is known of them anyway.
struct known_backend {
  const char* name;
  int32_t priority;
  int32_t device_type;
};
constexpr known_backend kKnownBackends[] = {{"cuda", 300, NSAMETA_DEVICE_CUDA}, {"hip", 200, NSAMETA_DEVICE_ROCM}};

const known_backend* find_known(const std::string& name) {
  const auto found = std::find_if(std::begin(kKnownBackends), std::end(kKnownBackends),
                                  [&](const known_backend& known) { return name == known.name; });
  return found == std::end(kKnownBackends) ? nullptr : found;
}

// Folder of the file that holds this very function; "" when the system cannot tell.
std::string find_own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&process_registry), &info) == 0 || info.dli_fname == nullptr) return "";
  std::error_code error;
  const fs::path file = fs::canonical(info.dli_fname, error);
  return error ? "" : file.parent_path().string();
}

// Found while the library is loaded: the loader may have been given a relative path, which later means something else.
const std::string kOwnFolder = find_own_folder();

// Candidate files of one folder, by name so that the order is the same everywhere.
std::vector<fs::path> list_plugins(const std::string& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (!plugin_name(it->path().filename().string()).empty() && !it->is_directory(ignored)) files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

backend_entry load_cpu() {
  backend_entry entry;
  entry.name = "cpu";
  admit(nsameta_cpu_backend(), &entry);
  return entry;
}

void add_plugins(const search_path& path, registry* all) {
  for (const std::string& folder : path.folders) {
    for (const fs::path& file : list_plugins(folder)) {
      const std::string name = plugin_name(file.filename().string());
      if (name == "auto") {
        all->notes.push_back({NSAMETA_LOG_WARN, file.string() + " ignored: auto is not a name for a backend"});
      } else if (const backend_entry* earlier = all->find(name); earlier != nullptr) {
        const std::string where = earlier->path.empty() ? "built in" : "there from " + earlier->path;
        all->notes.push_back({NSAMETA_LOG_DEBUG, file.string() + " ignored: backend " + name + " is already " + where});
      } else {
        all->backends.push_back(load_plugin(name, file.string()));
      }
    }
  }
}

std::string describe(const backend_entry& entry) {
  std::string text = "backend " + entry.name + ": " + (entry.usable() ? "usable" : entry.reason);
  if (!entry.path.empty()) text += ", from " + entry.path;
  return text;
}

void add_known(const search_path& path, registry* all) {
  std::string folders;
  for (const std::string& folder : path.folders) folders += (folders.empty() ? "" : ", ") + folder;
  for (const known_backend& known : kKnownBackends) {
    if (all->find(known.name) != nullptr) continue;
    backend_entry entry;
    entry.name = known.name;
    entry.reason =
        std::string("libnsameta_") + known.name + ".so was not found in " + (folders.empty() ? "any folder" : folders);
    if (!path.complaint.empty()) entry.reason += " (" + path.complaint + ")";
    all->backends.push_back(entry);
  }
}

}  // namespace

bool backend_entry::accepts(int32_t device_type) const {
  return std::find(device_types.begin(), device_types.end(), device_type) != device_types.end();
}

const backend_entry* registry::find(const std::string& name) const {
  const auto found = std::find_if(backends.begin(), backends.end(), [&](const auto& b) { return b.name == name; });
  return found == backends.end() ? nullptr : &*found;
}

search_path make_search_path(const std::string& library_folder, const std::string& backend_dir) {
  search_path path;
  if (!library_folder.empty()) path.folders.push_back(library_folder);
  if (backend_dir.empty()) return path;
  const std::string setting = std::string(kBackendDirVariable) + "=" + backend_dir;
  if (!fs::path(backend_dir).is_absolute()) {
    path.complaint = setting + " is ignored: it must be an absolute path";
    return path;
  }
  std::error_code error;
  const fs::path folder = fs::canonical(backend_dir, error);
  if (!error) fs::directory_iterator(folder, error);
  if (error) {
    path.complaint = setting + " cannot be searched: " + error.message();
  } else if (folder.string() != library_folder) {
    path.folders.push_back(folder.string());
  }
  return path;
}

registry load_registry(const search_path& path) {
  registry all;
  if (!path.complaint.empty()) all.notes.push_back({NSAMETA_LOG_WARN, path.complaint});
  all.backends.push_back(load_cpu());
  add_plugins(path, &all);
  add_known(path, &all);
  for (backend_entry& entry : all.backends) {
    const known_backend* known = find_known(entry.name);
    if (known != nullptr && entry.device_types.empty()) {
      entry.priority = known->priority;
      entry.device_types = {known->device_type};
    }
    all.notes.push_back({NSAMETA_LOG_DEBUG, describe(entry)});
  }
  std::sort(all.backends.begin(), all.backends.end(), [](const backend_entry& a, const backend_entry& b) {
    return a.priority != b.priority ? a.priority > b.priority : a.name < b.name;
  });
  return all;
}

const registry& process_registry() {
  // Never destroyed: the strings that it hands out live as long as the process.
  static const auto* const instance =
      new registry(load_registry(make_search_path(kOwnFolder, process_settings().backend_dir)));
  static std::atomic_flag is_logged;
  if (!is_logged.test_and_set()) {
    for (const registry_note& note : instance->notes) log(note.level, "%s", note.text.c_str());
  }
  return *instance;
}

nsameta_status backend_at(int32_t backend_idx, const backend_entry** entry) {
  const auto& backends = process_registry().backends;
  if (backend_idx < 0 || static_cast<size_t>(backend_idx) >= backends.size()) {
    return fail(NSAMETA_INVALID_ARGUMENT, "backend_idx=%d must be in [0, %zu)", backend_idx, backends.size());
  }
  *entry = &backends[static_cast<size_t>(backend_idx)];
  return NSAMETA_OK;
}

}  // namespace nsameta::dispatch
