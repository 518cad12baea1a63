#include "backends/hip/backend.h"

#include <cstdint>

namespace nsameta::hip {
namespace {

nsameta_status probe(std::int32_t* num_devices) {
  int count = 0;
  const hipError_t error = hipGetDeviceCount(&count);
  if (api::means_no_device(error)) return backend::fail(NSAMETA_BACKEND_UNAVAILABLE, "no AMD GPU: hipErrorNoDevice");
  *num_devices = count;
  return backend::check(error, "hipGetDeviceCount");
}

nsameta_backend make_table() {
  nsameta_backend table = backend::make_table("hip", 200, probe);
  // PyTorch on ROCm calls its device "cuda" in some versions: the memory is the same.
  table.num_device_types = 2;
  table.device_types[0] = NSAMETA_DEVICE_ROCM;
  table.device_types[1] = NSAMETA_DEVICE_CUDA;
#define NSAMETA_OP(name) \
  table.name = name;     \
  table.explain_##name = explain_##name;
#include "core/ops.def"
#undef NSAMETA_OP
  table.prepare_build_metadata = prepare_build_metadata;
  return table;
}

}  // namespace
}  // namespace nsameta::hip

extern "C" __attribute__((visibility("default"))) const nsameta_backend* nsameta_backend_entry(std::uint32_t) {
  static const nsameta_backend table = nsameta::hip::make_table();
  return &table;
}
