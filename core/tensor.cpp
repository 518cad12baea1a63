#include "core/tensor.h"

#include <cinttypes>

#include "core/status.h"

namespace nsameta {
namespace {

constexpr int64_t kMaxReachBytes = int64_t{1} << 61;

nsameta_status check_reach(const char* name, const nsameta_tensor& tensor, int32_t d) {
  const int64_t most = kMaxReachBytes / dtype_bytes(tensor.dtype);
  int64_t reach = 0;
  const bool overflows = tensor.shape[d] > 1 && __builtin_mul_overflow(tensor.shape[d] - 1, tensor.strides[d], &reach);
  if (!overflows && reach <= most && reach >= -most) return NSAMETA_OK;
  return fail(NSAMETA_INVALID_ARGUMENT,
              "%s: strides[%" PRId32 "]=%" PRId64 " with shape[%" PRId32 "]=%" PRId64 " spans more than 2^61 bytes",
              name, d, tensor.strides[d], d, tensor.shape[d]);
}

}  // namespace

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
    if (const auto status = check_reach(name, tensor, d); status != NSAMETA_OK) return status;
  }
  if (reinterpret_cast<uintptr_t>(tensor.data) % static_cast<uintptr_t>(dtype_bytes(tensor.dtype)) != 0) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: data=%p is not aligned to %s", name, tensor.data,
                dtype_name(tensor.dtype));
  }
  return NSAMETA_OK;
}

nsameta_status check_range(const char* name, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return NSAMETA_OK;
  return fail(NSAMETA_INVALID_ARGUMENT, "%s=%" PRId64 " must be in [%" PRId64 ", %" PRId64 "]", name, value, low, high);
}

nsameta_status check_matrix(const char* name, const nsameta_tensor& tensor, nsameta_device device,
                            nsameta_matrix* matrix) {
  if (const auto status = check_tensor(name, tensor, 2, device); status != NSAMETA_OK) return status;
  if (tensor.dtype != NSAMETA_INT32) return fail(NSAMETA_INVALID_ARGUMENT, "%s: dtype=int64 must be int32", name);
  *matrix = {static_cast<const int32_t*>(tensor.data), tensor.shape[0], tensor.shape[1], tensor.strides[0],
             tensor.strides[1]};
  return NSAMETA_OK;
}

nsameta_status check_distinct_cells(const char* name, const nsameta_tensor& tensor) {
  const int64_t rows = tensor.shape[0];
  const int64_t columns = tensor.shape[1];
  const int64_t row_step = step_of(tensor, 0);
  const int64_t column_step = step_of(tensor, 1);
  const bool is_row_major = (columns <= 1 || column_step > 0) && (rows <= 1 || row_step > column_step * (columns - 1));
  const bool is_column_major = (rows <= 1 || row_step > 0) && (columns <= 1 || column_step > row_step * (rows - 1));
  if (rows == 0 || columns == 0 || is_row_major || is_column_major) return NSAMETA_OK;
  return fail(NSAMETA_INVALID_ARGUMENT,
              "%s: strides=(%" PRId64 ", %" PRId64 ") make cells of its %" PRId64 " x %" PRId64 " alias", name,
              tensor.strides[0], tensor.strides[1], rows, columns);
}

byte_range span_of(const char* name, const nsameta_tensor& tensor) {
  const auto base = reinterpret_cast<uintptr_t>(tensor.data);
  byte_range range{name, base, base};
  for (int32_t d = 0; d < tensor.ndim; ++d) {
    if (tensor.shape[d] == 0) return {name, base, base};
    if (tensor.shape[d] == 1) continue;
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
