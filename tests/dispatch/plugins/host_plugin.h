// A complete backend on plain host memory, from which each plugin here makes its own by changing a field or two. The
// build defines NSAMETA_PLUGIN_NAME, the name in the plugin's file name.
#pragma once

#include <cstdlib>
#include <cstring>

#include "core/backend.h"

namespace nsameta::plugin {

inline thread_local const char* message = "";

// Written to total_tokens by the operation, so that a test sees who ran.
inline constexpr int32_t kMark = 987654;

inline nsameta_status build_metadata(void*, const nsameta_build_metadata_desc* desc, void*) {
  if (desc->sets[0].total_tokens.data != nullptr) *static_cast<int32_t*>(desc->sets[0].total_tokens.data) = kMark;
  return NSAMETA_OK;
}

inline nsameta_status refuse_graph() {
  message = "no graphs here";
  return NSAMETA_UNSUPPORTED;
}

inline nsameta_backend make_table() {
  nsameta_backend table{};
  table.abi_version = NSAMETA_BACKEND_ABI_VERSION;
  table.struct_size = sizeof(table);
  table.name = NSAMETA_PLUGIN_NAME;
  table.priority = 500;
  table.num_device_types = 1;
  table.device_types[0] = NSAMETA_DEVICE_CPU;
  table.last_error_message = [] { return message; };
  table.probe = [](int32_t* num_devices) {
    *num_devices = 1;
    return NSAMETA_OK;
  };
  table.device_info = [](int32_t, nsameta_device_info* info) {
    info->device = {NSAMETA_DEVICE_CPU, 0};
    std::strcpy(info->name, "plugin device");
    return NSAMETA_OK;
  };
  table.create = [](int32_t, void** state, uint64_t** fault_word) {
    *fault_word = static_cast<uint64_t*>(std::calloc(1, sizeof(uint64_t)));
    *state = *fault_word;
    return NSAMETA_OK;
  };
  table.destroy = [](void* state) { std::free(state); };
  table.alloc = [](void*, size_t bytes, void** data) {
    *data = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    return NSAMETA_OK;
  };
  table.free = [](void*, void* data) { std::free(data); };
  table.copy_to_device = [](void*, void* to, const void* from, size_t bytes, void*) {
    std::memcpy(to, from, bytes);
    return NSAMETA_OK;
  };
  table.copy_to_host = table.copy_to_device;
  table.synchronize = [](void*, void*) { return NSAMETA_OK; };
  table.is_capturing = [](void*, void*, int32_t* capturing) {
    *capturing = 0;
    return NSAMETA_OK;
  };
  table.stream_create = [](void*, void** stream) {
    *stream = nullptr;
    return NSAMETA_OK;
  };
  table.stream_destroy = [](void*, void*) {};
  table.graph_begin = [](void*, void*) { return refuse_graph(); };
  table.graph_end = [](void*, void*, void**) { return refuse_graph(); };
  table.graph_launch = [](void*, void*, void*) { return refuse_graph(); };
  table.graph_destroy = [](void*, void*) {};
  table.build_metadata = build_metadata;
  return table;
}

}  // namespace nsameta::plugin

// Defines the entry point; `change(table)` makes the plugin what its file is named for.
#define NSAMETA_PLUGIN_ENTRY(change)                                                                         \
  extern "C" __attribute__((visibility("default"))) const nsameta_backend* nsameta_backend_entry(uint32_t) { \
    static nsameta_backend plugin_table = nsameta::plugin::make_table();                                     \
    change(plugin_table);                                                                                    \
    return &plugin_table;                                                                                    \
  }
