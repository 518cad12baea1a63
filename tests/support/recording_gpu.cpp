// A backend for machines without a GPU. It says that its memory is a GPU's, computes with the CPU backend, and its
// graphs record operations and replay them. So graph and staged executions of all tests run everywhere; what they show
// is that the library and the tests keep the contracts of captures and staging, nothing about a GPU.
#include <functional>
#include <vector>

#include "backends/cpu/backend.h"

namespace {

using recording = std::vector<std::function<nsameta_status(void* state)>>;

struct recording_stream {
  bool is_capturing = false;
  recording captured;
};

const nsameta_backend& cpu() { return *nsameta_cpu_backend(); }
recording_stream& as_stream(void* stream) { return *static_cast<recording_stream*>(stream); }

nsameta_status device_info(int32_t device_idx, nsameta_device_info* info) {
  const auto status = cpu().device_info(device_idx, info);
  info->device = {NSAMETA_DEVICE_CUDA, device_idx};
  return status;
}

nsameta_status is_capturing(void*, void* stream, int32_t* capturing) {
  *capturing = stream != nullptr && as_stream(stream).is_capturing ? 1 : 0;
  return NSAMETA_OK;
}

nsameta_status stream_create(void*, void** stream) {
  *stream = new recording_stream;
  return NSAMETA_OK;
}

void stream_destroy(void*, void* stream) { delete static_cast<recording_stream*>(stream); }

nsameta_status graph_begin(void*, void* stream) {
  as_stream(stream) = {.is_capturing = true, .captured = {}};
  return NSAMETA_OK;
}

nsameta_status graph_end(void*, void* stream, void** graph) {
  as_stream(stream).is_capturing = false;
  *graph = new recording(as_stream(stream).captured);
  return NSAMETA_OK;
}

nsameta_status graph_launch(void* state, void* graph, void*) {
  for (const auto& operation : *static_cast<recording*>(graph)) {
    if (const auto status = operation(state); status != NSAMETA_OK) return status;
  }
  return NSAMETA_OK;
}

void graph_destroy(void*, void* graph) { delete static_cast<recording*>(graph); }

// An operation of the table: runs at once, or is kept with a copy of its descriptor.
template <auto Slot, class Desc>
nsameta_status run_or_record(void* state, const Desc* desc, void* stream) {
  if (stream == nullptr || !as_stream(stream).is_capturing) return (cpu().*Slot)(state, desc, nullptr);
  as_stream(stream).captured.emplace_back(
      [copy = *desc](void* replaying_state) { return (cpu().*Slot)(replaying_state, &copy, nullptr); });
  return NSAMETA_OK;
}

nsameta_backend make_table() {
  nsameta_backend table = cpu();
  table.name = "recording_gpu";
  table.priority = 1;
  table.device_types[0] = NSAMETA_DEVICE_CUDA;
  table.device_info = device_info;
  table.is_capturing = is_capturing;
  table.stream_create = stream_create;
  table.stream_destroy = stream_destroy;
  table.graph_begin = graph_begin;
  table.graph_end = graph_end;
  table.graph_launch = graph_launch;
  table.graph_destroy = graph_destroy;
#define NSAMETA_OP(name) table.name = run_or_record<&nsameta_backend::name, nsameta_##name##_desc>;
#include "core/ops.def"
#undef NSAMETA_OP
  return table;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const nsameta_backend* nsameta_backend_entry(uint32_t) {
  static const nsameta_backend table = make_table();
  return &table;
}
