// Checks on tensor views that every operation shares. Each returns NSAMETA_OK or a status with its message set.
#pragma once

#include "core/backend.h"

namespace nsameta {

// Frameworks give an empty tensor a null pointer: it is present all the same.
inline bool is_present(const nsameta_tensor& tensor) {
  const bool is_empty = (tensor.ndim >= 1 && tensor.shape[0] == 0) || (tensor.ndim == 2 && tensor.shape[1] == 0);
  return tensor.data != nullptr || is_empty;
}

const char* dtype_name(int32_t dtype);
const char* device_type_name(int32_t device_type);
inline int64_t dtype_bytes(int32_t dtype) { return dtype == NSAMETA_INT64 ? 8 : 4; }

// Elements from one line of the dimension to the next, without the sign; 0 where there is one line, whose stride means
// nothing.
inline int64_t step_of(const nsameta_tensor& tensor, int32_t dimension) {
  const int64_t stride = tensor.strides[dimension];
  return tensor.shape[dimension] <= 1 ? 0 : stride < 0 ? -stride : stride;
}

// dtype is known, data is aligned to it, the device is `device`, ndim is `ndim`, extents are not negative, and no
// dimension reaches further than addresses do: sums of what two tensors span fit int64.
[[nodiscard]] nsameta_status check_tensor(const char* name, const nsameta_tensor& tensor, int32_t ndim,
                                          nsameta_device device);

// `value` is in [low, high].
[[nodiscard]] nsameta_status check_range(const char* name, int64_t value, int64_t low, int64_t high);

// An int32 input of two dimensions with any strides.
[[nodiscard]] nsameta_status check_matrix(const char* name, const nsameta_tensor& tensor, nsameta_device device,
                                          nsameta_matrix* matrix);

// No two cells of a 2-D output share memory.
[[nodiscard]] nsameta_status check_distinct_cells(const char* name, const nsameta_tensor& tensor);

// Half-open byte range that a tensor's elements span.
struct byte_range {
  const char* name;
  uintptr_t begin;
  uintptr_t end;
};

byte_range span_of(const char* name, const nsameta_tensor& tensor);

// Fails when outputs overlap each other or an input.
[[nodiscard]] nsameta_status check_disjoint(const byte_range* inputs, int num_inputs, const byte_range* outputs,
                                            int num_outputs);

}  // namespace nsameta
