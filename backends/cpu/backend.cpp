#include "backends/cpu/backend.h"

#include <tbb/task_arena.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <new>
#include <string>

#include "backends/cpu/state.h"
#include "backends/cpu/tunables.h"

namespace nsameta::cpu {

#define NSAMETA_OP(name) nsameta_status name(void* state, const nsameta_##name##_desc* desc, void* stream);
#include "core/ops.def"
#undef NSAMETA_OP

namespace {

thread_local char message[512];

[[gnu::format(printf, 2, 3)]] nsameta_status fail(nsameta_status status, const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  return status;
}

const char* last_error_message() { return message; }

// The only place where exceptions end: oneTBB throws when it cannot allocate or start threads.
template <auto Function, typename... Args>
nsameta_status guarded(Args... args) noexcept {
  try {
    return Function(args...);
  } catch (const std::bad_alloc&) {
    return fail(NSAMETA_OUT_OF_MEMORY, "cpu: out of memory");
  } catch (const std::exception& error) {
    return fail(NSAMETA_INTERNAL_ERROR, "cpu: %s", error.what());
  } catch (...) {
    return fail(NSAMETA_INTERNAL_ERROR, "cpu: unknown exception");
  }
}

nsameta_status probe(int32_t* num_devices) {
  if (const std::string& error = process_settings().error; !error.empty()) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s", error.c_str());
  }
  *num_devices = 1;
  return NSAMETA_OK;
}

// "model name" of /proc/cpuinfo, which not every architecture has.
std::string model_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    const size_t value = line.find_first_not_of(" \t", line.find(':') + 1);
    if (value != std::string::npos) return line.substr(value);
  }
  return "CPU";
}

constexpr const char* arch_name() {
#if defined(__x86_64__)
  return "x86-64";
#elif defined(__aarch64__)
  return "aarch64";
#elif defined(__riscv)
  return "riscv";
#elif defined(__powerpc64__)
  return "ppc64";
#else
  return "unknown";
#endif
}

nsameta_status check_device(int32_t device_id) {
  if (device_id == 0) return NSAMETA_OK;
  return fail(NSAMETA_INVALID_ARGUMENT, "device_id=%d must be 0: the cpu backend has one device", device_id);
}

nsameta_status device_info(int32_t device_idx, nsameta_device_info* info) {
  if (const auto status = check_device(device_idx); status != NSAMETA_OK) return status;
  *info = {};
  info->device = {NSAMETA_DEVICE_CPU, 0};
  std::snprintf(info->name, sizeof(info->name), "%s", model_name().c_str());
  std::snprintf(info->arch, sizeof(info->arch), "%s %s", arch_name(), process_settings().loops->isa);
  info->memory_bytes = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  info->warp_width = 1;
  const int num_threads = process_settings().num_threads;
  info->num_multiprocessors = num_threads > 0 ? num_threads : tbb::this_task_arena::max_concurrency();
  return NSAMETA_OK;
}

nsameta_status create(int32_t device_id, void** state, uint64_t** fault_word) {
  if (const auto status = check_device(device_id); status != NSAMETA_OK) return status;
  auto* context = new context_state;
  *state = context;
  *fault_word = &context->fault_word;
  return NSAMETA_OK;
}

void destroy(void* state) { delete static_cast<context_state*>(state); }

nsameta_status alloc(void*, size_t bytes, void** data) {
  constexpr size_t kAlignment = 256;
  *data = nullptr;
  if (bytes == 0) return NSAMETA_OK;
  if (bytes <= SIZE_MAX - kAlignment) {
    *data = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  }
  return *data != nullptr ? NSAMETA_OK : fail(NSAMETA_OUT_OF_MEMORY, "cpu: cannot allocate bytes=%zu", bytes);
}

void free_memory(void*, void* data) { std::free(data); }

nsameta_status copy_to_device(void*, void* device_data, const void* host_data, size_t bytes, void*) {
  if (bytes != 0) std::memcpy(device_data, host_data, bytes);
  return NSAMETA_OK;
}

nsameta_status copy_to_host(void*, void* host_data, const void* device_data, size_t bytes, void*) {
  if (bytes != 0) std::memcpy(host_data, device_data, bytes);
  return NSAMETA_OK;
}

nsameta_status synchronize(void*, void*) { return NSAMETA_OK; }

nsameta_status is_capturing(void*, void*, int32_t* capturing) {
  *capturing = 0;
  return NSAMETA_OK;
}

nsameta_status stream_create(void*, void** stream) {
  *stream = nullptr;
  return NSAMETA_OK;
}

void stream_destroy(void*, void*) {}

nsameta_status no_graphs() {
  return fail(NSAMETA_UNSUPPORTED, "cpu: a CPU has no graphs; run the operation or a plan instead");
}

nsameta_status graph_begin(void*, void*) { return no_graphs(); }

nsameta_status graph_end(void*, void*, void** graph) {
  *graph = nullptr;
  return no_graphs();
}

nsameta_status graph_launch(void*, void*, void*) { return no_graphs(); }

void graph_destroy(void*, void*) {}

const policy& policy_of(const void* state) {
  static const policy usual = default_policy();
  return state == nullptr ? usual : static_cast<const context_state*>(state)->policy;
}

void get_tunable_of(const void* state, int32_t tunable_idx, nsameta_tunable* tunable) {
  get_tunable(policy_of(state), tunable_idx, tunable);
}

void set_tunable_of(void* state, int32_t tunable_idx, int64_t value) {
  set_tunable(&static_cast<context_state*>(state)->policy, tunable_idx, value);
}

template <class Desc>
nsameta_status explain_to(const void* state, const Desc* desc, char* data, size_t size, size_t* needed) {
  text_writer text(data, size);
  explain(*desc, policy_of(state), &text);
  *needed = text.needed();
  return NSAMETA_OK;
}

constexpr nsameta_backend kBackend = {
    .abi_version = NSAMETA_BACKEND_ABI_VERSION,
    .struct_size = sizeof(nsameta_backend),
    .name = "cpu",
    .priority = 100,
    .num_device_types = 1,
    .device_types = {NSAMETA_DEVICE_CPU},
    .last_error_message = last_error_message,
    .probe = probe,
    .device_info = guarded<device_info, int32_t, nsameta_device_info*>,
    .create = guarded<create, int32_t, void**, uint64_t**>,
    .destroy = destroy,
    .alloc = alloc,
    .free = free_memory,
    .copy_to_device = copy_to_device,
    .copy_to_host = copy_to_host,
    .synchronize = synchronize,
    .is_capturing = is_capturing,
    .stream_create = stream_create,
    .stream_destroy = stream_destroy,
    .graph_begin = graph_begin,
    .graph_end = graph_end,
    .graph_launch = graph_launch,
    .graph_destroy = graph_destroy,
#define NSAMETA_OP(name) .name = guarded<name, void*, const nsameta_##name##_desc*, void*>,
#include "core/ops.def"
#undef NSAMETA_OP
// What the CPU chooses, it chooses by lengths, which a run alone can read.
#define NSAMETA_OP(name) .prepare_##name = nullptr,
#include "core/ops.def"
#undef NSAMETA_OP
    .launch_prepared = nullptr,
    .release_prepared = nullptr,
    .num_tunables = num_tunables,
    .get_tunable = get_tunable_of,
    .set_tunable = set_tunable_of,
#define NSAMETA_OP(name) .explain_##name = explain_to<nsameta_##name##_desc>,
#include "core/ops.def"
#undef NSAMETA_OP
};

}  // namespace
}  // namespace nsameta::cpu

const nsameta_backend* nsameta_cpu_backend() { return &nsameta::cpu::kBackend; }
