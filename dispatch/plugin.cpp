#include "dispatch/plugin.h"

#include <dlfcn.h>

#include <exception>
#include <string_view>

#include "dispatch/elf_file.h"

namespace nsameta::dispatch {
namespace {

// Code that is not ours may throw although it must not; the process goes on without that backend. False when it threw.
template <class Call>
bool guard_foreign(const char* step, backend_entry* entry, const Call& call) {
  try {
    call();
    return true;
  } catch (const std::exception& e) {
    entry->reason = std::string("threw an exception ") + step + ": " + e.what();
  } catch (...) {
    entry->reason = std::string("threw an exception ") + step;
  }
  return false;
}

// dlopen is declared to throw nothing, but it runs static initialisers. Where the compiler takes the declaration at its
// word, an exception of theirs ends the process; through this pointer it does not know whom it calls.
void* (*volatile const kOpenLibrary)(const char* path, int mode) = dlopen;

const char* missing_slot(const nsameta_backend& table) {
#define NSAMETA_REQUIRE_SLOT(slot) \
  if (table.slot == nullptr) return #slot
  NSAMETA_REQUIRE_SLOT(last_error_message);
  NSAMETA_REQUIRE_SLOT(probe);
  NSAMETA_REQUIRE_SLOT(device_info);
  NSAMETA_REQUIRE_SLOT(create);
  NSAMETA_REQUIRE_SLOT(destroy);
  NSAMETA_REQUIRE_SLOT(alloc);
  NSAMETA_REQUIRE_SLOT(free);
  NSAMETA_REQUIRE_SLOT(copy_to_device);
  NSAMETA_REQUIRE_SLOT(copy_to_host);
  NSAMETA_REQUIRE_SLOT(synchronize);
  NSAMETA_REQUIRE_SLOT(is_capturing);
  NSAMETA_REQUIRE_SLOT(stream_create);
  NSAMETA_REQUIRE_SLOT(stream_destroy);
#define NSAMETA_OP(name)                    \
  if (table.prepare_##name != nullptr) {    \
    NSAMETA_REQUIRE_SLOT(launch_prepared);  \
    NSAMETA_REQUIRE_SLOT(release_prepared); \
  }
#include "core/ops.def"
#undef NSAMETA_OP
  if (table.num_tunables != nullptr) {
    NSAMETA_REQUIRE_SLOT(get_tunable);
    NSAMETA_REQUIRE_SLOT(set_tunable);
  }
#undef NSAMETA_REQUIRE_SLOT
  return nullptr;
}

// "" when the table is one that this library can use. The ABI version comes first: only a table of our own version has
// the other fields where we look for them.
std::string refusal(const nsameta_backend* table, const std::string& name) {
  if (table == nullptr) return std::string(NSAMETA_BACKEND_ENTRY) + " returned NULL";
  if (table->abi_version != NSAMETA_BACKEND_ABI_VERSION) {
    return "has backend ABI version " + std::to_string(table->abi_version) + ", but this library needs version " +
           std::to_string(NSAMETA_BACKEND_ABI_VERSION);
  }
  if (table->struct_size != sizeof(nsameta_backend)) {
    return "has a table of " + std::to_string(table->struct_size) + " bytes, but this library needs " +
           std::to_string(sizeof(nsameta_backend));
  }
  if (table->name == nullptr || table->name != name) {
    return "calls itself \"" + std::string(table->name == nullptr ? "" : table->name) +
           "\", but its file name says \"" + name + "\"";
  }
  constexpr auto kMaxDeviceTypes = sizeof(table->device_types) / sizeof(table->device_types[0]);
  if (table->num_device_types < 1 || table->num_device_types > kMaxDeviceTypes) {
    return "num_device_types=" + std::to_string(table->num_device_types) + " must be in [1, " +
           std::to_string(kMaxDeviceTypes) + "]";
  }
  if (const char* slot = missing_slot(*table); slot != nullptr) return std::string("lacks the function ") + slot;
  return "";
}

void probe(const nsameta_backend* table, backend_entry* entry) {
  int32_t num_devices = 0;
  const nsameta_status status = table->probe(&num_devices);
  if (status != NSAMETA_OK) {
    const char* message = table->last_error_message();
    entry->reason = message != nullptr && *message != '\0'
                        ? message
                        : std::string("the probe failed with ") + nsameta_status_name(status);
  } else if (num_devices < 1) {
    entry->reason = "no device";
  } else {
    entry->num_devices = num_devices;
    entry->table = table;
    entry->reason.clear();
  }
}

}  // namespace

std::string plugin_name(const std::string& file_name) {
  constexpr std::string_view kPrefix = "libnsameta_";
  constexpr std::string_view kSuffix = ".so";
  if (file_name.size() <= kPrefix.size() + kSuffix.size() || !file_name.starts_with(kPrefix) ||
      !file_name.ends_with(kSuffix)) {
    return "";
  }
  const std::string name = file_name.substr(kPrefix.size(), file_name.size() - kPrefix.size() - kSuffix.size());
  return name.find('.') == std::string::npos ? name : "";
}

void admit(const nsameta_backend* table, backend_entry* entry) {
  entry->reason = refusal(table, entry->name);
  if (!entry->reason.empty()) return;
  entry->priority = table->priority;
  entry->device_types.assign(table->device_types, table->device_types + table->num_device_types);
  guard_foreign("in its probe", entry, [&] { probe(table, entry); });
}

backend_entry load_plugin(const std::string& name, const std::string& path) {
  backend_entry entry;
  entry.name = name;
  entry.path = path;
  entry.reason = find_truncation(path);
  if (!entry.reason.empty()) return entry;
  void* library = nullptr;
  const bool has_thrown = !guard_foreign("while loading", &entry, [&] {
    library = kOpenLibrary(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) entry.reason = std::string("cannot be loaded: ") + dlerror();
  });
  if (library == nullptr) {
    // glibc's loader has no way to unlock itself while an exception passes through it.
    if (has_thrown) entry.reason += "; other threads may hang when they load a library: remove the file and restart";
    return entry;
  }
  void* const symbol = dlsym(library, NSAMETA_BACKEND_ENTRY);
  if (symbol == nullptr) {
    entry.reason = path + " has no function " + NSAMETA_BACKEND_ENTRY;
    return entry;
  }
  guard_foreign("in " NSAMETA_BACKEND_ENTRY, &entry, [&] {
    const auto enter = reinterpret_cast<nsameta_backend_entry_fn>(symbol);
    admit(enter(NSAMETA_BACKEND_ABI_VERSION), &entry);
  });
  return entry;
}

}  // namespace nsameta::dispatch
