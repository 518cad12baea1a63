#include "core/tensor.h"

#include <cinttypes>

#include "core/status.h"

namespace nsameta {

const char* dtype_name(int32_t dtype) {
  switch (dtype) {
    case NSAMETA_INT32: return "int32";
    case NSAMETA_INT64: return "int64";
    default: return "unknown";
  }
}

const char* device_type_name(int32_t device_type) {
  switch (device_type) {
    case NSAMETA_DEVICE_CPU: return "cpu";
    case NSAMETA_DEVICE_CUDA: return "cuda";
    case NSAMETA_DEVICE_ROCM: return "rocm";
    default: return "unknown";
  }
}

nsameta_status check_tensor(const char* name, const nsameta_tensor& tensor, int32_t ndim, nsameta_device device) {
  if (tensor.dtype != NSAMETA_INT32 && tensor.dtype != NSAMETA_INT64) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: dtype=%" PRId32 " is neither NSAMETA_INT32 nor NSAMETA_INT64", name,
                tensor.dtype);
  }
  if (tensor.ndim != ndim) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: ndim=%" PRId32 " must be %" PRId32, name, tensor.ndim, ndim);
  }
  if (tensor.device.type != device.type || tensor.device.id != device.id) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: is on %s:%" PRId32 ", but the context is for %s:%" PRId32, name,
                device_type_name(tensor.device.type), tensor.device.id, device_type_name(device.type), device.id);
  }
  for (int32_t d = 0; d < ndim; ++d) {
    if (tensor.shape[d] < 0) {
      return fail(NSAMETA_INVALID_ARGUMENT, "%s: shape[%" PRId32 "]=%" PRId64 " is negative", name, d, tensor.shape[d]);
    }
  }
  if (reinterpret_cast<uintptr_t>(tensor.data) % static_cast<uintptr_t>(dtype_bytes(tensor.dtype)) != 0) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: data=%p is not aligned to %s", name, tensor.data,
                dtype_name(tensor.dtype));
  }
  return NSAMETA_OK;
}

byte_range span_of(const char* name, const nsameta_tensor& tensor) {
  const auto base = reinterpret_cast<uintptr_t>(tensor.data);
  byte_range range{name, base, base};
  for (int32_t d = 0; d < tensor.ndim; ++d) {
    if (tensor.shape[d] == 0) return {name, base, base};
    const auto reach = (tensor.shape[d] - 1) * tensor.strides[d] * dtype_bytes(tensor.dtype);
    (reach < 0 ? range.begin : range.end) += static_cast<uintptr_t>(reach);
  }
  range.end += static_cast<uintptr_t>(dtype_bytes(tensor.dtype));
  return range;
}

nsameta_status check_disjoint(const byte_range* inputs, int num_inputs, const byte_range* outputs, int num_outputs) {
  const auto overlap = [](const byte_range& a, const byte_range& b) { return a.begin < b.end && b.begin < a.end; };
  for (int i = 0; i < num_outputs; ++i) {
    for (int k = 0; k < num_inputs; ++k) {
      if (overlap(outputs[i], inputs[k])) {
        return fail(NSAMETA_INVALID_ARGUMENT, "output %s overlaps input %s", outputs[i].name, inputs[k].name);
      }
    }
    for (int k = 0; k < i; ++k) {
      if (overlap(outputs[i], outputs[k])) {
        return fail(NSAMETA_INVALID_ARGUMENT, "output %s overlaps output %s", outputs[i].name, outputs[k].name);
      }
    }
  }
  return NSAMETA_OK;
}

}  // namespace nsameta
