// Tensors on the GPU that live as long as their owner.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <vector>

#include "nsameta/nsameta.h"

namespace nsameta::bench {

class device_memory {
 public:
  device_memory() = default;
  ~device_memory() {
    for (void* data : allocations_) cudaFree(data);
  }
  device_memory(const device_memory&) = delete;
  device_memory& operator=(const device_memory&) = delete;

  // Bytes of all tensors, each counted once.
  double bytes() const { return bytes_; }

  // int32, poisoned.
  nsameta_tensor allocate(int64_t count) {
    nsameta_tensor tensor{};
    cudaMalloc(&tensor.data, static_cast<size_t>(count) * 4);
    cudaMemset(tensor.data, 0xa5, static_cast<size_t>(count) * 4);
    allocations_.push_back(tensor.data);
    tensor.shape[0] = count;
    tensor.strides[0] = 1;
    tensor.ndim = 1;
    tensor.device = {NSAMETA_DEVICE_CUDA, 0};
    bytes_ += static_cast<double>(count) * 4;
    return tensor;
  }

  nsameta_tensor allocate_rows(int64_t num_rows, int64_t num_columns) {
    nsameta_tensor tensor = allocate(num_rows * num_columns);
    tensor.shape[0] = num_rows;
    tensor.shape[1] = num_columns;
    tensor.strides[0] = num_columns;
    tensor.strides[1] = 1;
    tensor.ndim = 2;
    return tensor;
  }

  nsameta_tensor upload(const std::vector<int64_t>& values) {
    const std::vector<int32_t> narrow(values.begin(), values.end());
    const nsameta_tensor tensor = allocate(static_cast<int64_t>(values.size()));
    cudaMemcpy(tensor.data, narrow.data(), narrow.size() * 4, cudaMemcpyHostToDevice);
    return tensor;
  }

 private:
  std::vector<void*> allocations_;
  double bytes_ = 0;
};

}  // namespace nsameta::bench
