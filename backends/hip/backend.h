// The HIP runtime as backends/simt/gpu_backend.h sees it, and the operations of this backend.
#pragma once

#include <hip/hip_runtime.h>

#include <cstddef>
#include <cstdio>
#include <cstring>

#include "backends/simt/gpu_backend.h"
#include "core/backend.h"

namespace nsameta::hip {

struct api {
  using error = hipError_t;
  using stream = hipStream_t;
  using graph = hipGraph_t;
  using graph_exec = hipGraphExec_t;
  using attribute = hipDeviceAttribute_t;
  using properties = hipDeviceProp_t;

  static constexpr int kDeviceType = NSAMETA_DEVICE_ROCM;
  static constexpr error kSuccess = hipSuccess;
  static constexpr error kOutOfMemory = hipErrorOutOfMemory;
  static constexpr hipMemcpyKind kHostToDevice = hipMemcpyHostToDevice;
  static constexpr hipMemcpyKind kDeviceToHost = hipMemcpyDeviceToHost;
  static constexpr attribute kMultiprocessorCount = hipDeviceAttributeMultiprocessorCount;
  static constexpr attribute kWarpSize = hipDeviceAttributeWarpSize;

  static bool means_no_device(error e) { return e == hipErrorInsufficientDriver || e == hipErrorNoDevice; }
  static const char* error_string(error e) { return hipGetErrorString(e); }
  static const char* error_name(error e) { return hipGetErrorName(e); }
  static error get_last_error() { return hipGetLastError(); }
  static error get_device(int* id) { return hipGetDevice(id); }
  static error set_device(int id) { return hipSetDevice(id); }
  static error device_get_attribute(int* value, attribute a, int id) { return hipDeviceGetAttribute(value, a, id); }
  static error get_device_properties(properties* p, int id) { return hipGetDeviceProperties(p, id); }
  static bool has_bulk_copies(int) { return false; }
  // "gfx942:sramecc+:xnack-" without its features.
  static void write_arch(const properties& p, char* text, std::size_t size) {
    const auto length = static_cast<int>(std::strcspn(p.gcnArchName, ":"));
    std::snprintf(text, size, "%.*s", length, p.gcnArchName);
  }
  static error host_alloc(void** data, std::size_t bytes) {
    return hipHostMalloc(data, bytes, hipHostMallocMapped | hipHostMallocPortable);
  }
  static error host_free(void* data) { return hipHostFree(data); }
  static error malloc(void** data, std::size_t bytes) { return hipMalloc(data, bytes); }
  static error free(void* data) { return hipFree(data); }
  static error memcpy_async(void* to, const void* from, std::size_t bytes, hipMemcpyKind kind, stream s) {
    return hipMemcpyAsync(to, from, bytes, kind, s);
  }
  static error stream_create(stream* s) { return hipStreamCreateWithFlags(s, hipStreamNonBlocking); }
  static error stream_destroy(stream s) { return hipStreamDestroy(s); }
  static error stream_synchronize(stream s) { return hipStreamSynchronize(s); }
  static error stream_is_capturing(stream s, bool* is_active) {
    hipStreamCaptureStatus status = hipStreamCaptureStatusNone;
    const error e = hipStreamIsCapturing(s, &status);
    *is_active = status != hipStreamCaptureStatusNone;
    return e;
  }
  static error stream_begin_capture(stream s) { return hipStreamBeginCapture(s, hipStreamCaptureModeThreadLocal); }
  static error stream_end_capture(stream s, graph* g) { return hipStreamEndCapture(s, g); }
  static error graph_instantiate(graph_exec* e, graph g) { return hipGraphInstantiate(e, g, nullptr, nullptr, 0); }
  static error graph_destroy(graph g) { return hipGraphDestroy(g); }
  static error graph_launch(graph_exec e, stream s) { return hipGraphLaunch(e, s); }
  static error graph_exec_destroy(graph_exec e) { return hipGraphExecDestroy(e); }
};

using backend = simt::gpu_backend<api>;

#define NSAMETA_OP(name)                                                                                            \
  nsameta_status name(void* state, const nsameta_##name##_desc* desc, void* stream);                                \
  nsameta_status explain_##name(const void* state, const nsameta_##name##_desc* desc, char* text, std::size_t size, \
                                std::size_t* needed);
#include "core/ops.def"
#undef NSAMETA_OP
nsameta_status prepare_build_metadata(const void* state, const nsameta_build_metadata_desc* desc, void** prepared);

}  // namespace nsameta::hip
