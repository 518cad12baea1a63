#include "backends/cuda/backend.h"
#include "backends/cuda/pipe.h"

#include <cstdint>

namespace nsameta::cuda {

namespace {

// Tells which architecture the kernels that the driver takes for a device were compiled for.
__global__ void compiled_kernel() {}

}  // namespace

bool api::has_bulk_copies(int id) {
  constexpr int kSm90 = 90;
  int shared_bytes = 0;
  cudaFuncAttributes compiled{};
  return cudaDeviceGetAttribute(&shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, id) == cudaSuccess &&
         shared_bytes >= pipe::kSharedBytes && cudaFuncGetAttributes(&compiled, compiled_kernel) == cudaSuccess &&
         compiled.ptxVersion >= kSm90;
}

namespace {

nsameta_status probe(std::int32_t* num_devices) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  int driver = 0;
  if (error == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0) {
    return backend::fail(NSAMETA_BACKEND_UNAVAILABLE, "no NVIDIA driver: libcuda.so.1 was not found");
  }
  *num_devices = count;
  return backend::check(error, "cudaGetDeviceCount");
}

nsameta_backend make_table() {
  nsameta_backend table = backend::make_table("cuda", 300, probe);
  table.num_device_types = 1;
  table.device_types[0] = NSAMETA_DEVICE_CUDA;
#define NSAMETA_OP(name) \
  table.name = name;     \
  table.explain_##name = explain_##name;
#include "core/ops.def"
#undef NSAMETA_OP
  table.prepare_build_metadata = prepare_build_metadata;
  return table;
}

}  // namespace
}  // namespace nsameta::cuda

extern "C" __attribute__((visibility("default"))) const nsameta_backend* nsameta_backend_entry(std::uint32_t) {
  static const nsameta_backend table = nsameta::cuda::make_table();
  return &table;
}
