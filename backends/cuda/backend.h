// The CUDA runtime as backends/simt/gpu_backend.h sees it, and the operations of this backend.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdio>

#include "backends/simt/gpu_backend.h"
#include "core/backend.h"

namespace nsameta::cuda {

struct api {
  using error = cudaError_t;
  using stream = cudaStream_t;
  using graph = cudaGraph_t;
  using graph_exec = cudaGraphExec_t;
  using attribute = cudaDeviceAttr;
  using properties = cudaDeviceProp;

  static constexpr int kDeviceType = NSAMETA_DEVICE_CUDA;
  static constexpr error kSuccess = cudaSuccess;
  static constexpr error kOutOfMemory = cudaErrorMemoryAllocation;
  static constexpr cudaMemcpyKind kHostToDevice = cudaMemcpyHostToDevice;
  static constexpr cudaMemcpyKind kDeviceToHost = cudaMemcpyDeviceToHost;
  static constexpr attribute kMultiprocessorCount = cudaDevAttrMultiProcessorCount;
  static constexpr attribute kWarpSize = cudaDevAttrWarpSize;

  static bool means_no_device(error e) { return e == cudaErrorInsufficientDriver || e == cudaErrorNoDevice; }
  static const char* error_string(error e) { return cudaGetErrorString(e); }
  static const char* error_name(error e) { return cudaGetErrorName(e); }
  static error get_last_error() { return cudaGetLastError(); }
  static error get_device(int* id) { return cudaGetDevice(id); }
  static error set_device(int id) { return cudaSetDevice(id); }
  static error device_get_attribute(int* value, attribute a, int id) { return cudaDeviceGetAttribute(value, a, id); }
  static error get_device_properties(properties* p, int id) { return cudaGetDeviceProperties(p, id); }
  // Whether pipe.h works on the device, and was compiled for it.
  static bool has_bulk_copies(int id);
  static void write_arch(const properties& p, char* text, std::size_t size) {
    std::snprintf(text, size, "sm_%d%d", p.major, p.minor);
  }
  static error host_alloc(void** data, std::size_t bytes) {
    return cudaHostAlloc(data, bytes, cudaHostAllocMapped | cudaHostAllocPortable);
  }
  static error host_free(void* data) { return cudaFreeHost(data); }
  static error malloc(void** data, std::size_t bytes) { return cudaMalloc(data, bytes); }
  static error free(void* data) { return cudaFree(data); }
  static error memcpy_async(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, stream s) {
    return cudaMemcpyAsync(to, from, bytes, kind, s);
  }
  static error stream_create(stream* s) { return cudaStreamCreateWithFlags(s, cudaStreamNonBlocking); }
  static error stream_destroy(stream s) { return cudaStreamDestroy(s); }
  static error stream_synchronize(stream s) { return cudaStreamSynchronize(s); }
  static error stream_is_capturing(stream s, bool* is_active) {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    const error e = cudaStreamIsCapturing(s, &status);
    *is_active = status != cudaStreamCaptureStatusNone;
    return e;
  }
  static error stream_begin_capture(stream s) { return cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal); }
  static error stream_end_capture(stream s, graph* g) { return cudaStreamEndCapture(s, g); }
  static error graph_instantiate(graph_exec* e, graph g) { return cudaGraphInstantiate(e, g, 0); }
  static error graph_destroy(graph g) { return cudaGraphDestroy(g); }
  static error graph_launch(graph_exec e, stream s) { return cudaGraphLaunch(e, s); }
  static error graph_exec_destroy(graph_exec e) { return cudaGraphExecDestroy(e); }
};

using backend = simt::gpu_backend<api>;

#define NSAMETA_OP(name)                                                                                            \
  nsameta_status name(void* state, const nsameta_##name##_desc* desc, void* stream);                                \
  nsameta_status explain_##name(const void* state, const nsameta_##name##_desc* desc, char* text, std::size_t size, \
                                std::size_t* needed);
#include "core/ops.def"
#undef NSAMETA_OP
nsameta_status prepare_build_metadata(const void* state, const nsameta_build_metadata_desc* desc, void** prepared);

}  // namespace nsameta::cuda
