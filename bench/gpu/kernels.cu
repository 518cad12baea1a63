#include "bench/gpu/kernels.h"

namespace nsameta::bench {
namespace {

__global__ void empty_kernel() {}

__device__ unsigned long long nanoseconds() {
  unsigned long long now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

__global__ void delay_kernel(unsigned long long duration_ns) {
  const unsigned long long begin = nanoseconds();
  while (nanoseconds() - begin < duration_ns) {
  }
}

__global__ void copy_kernel(const int4* from, int4* to, size_t count) {
  const size_t step = size_t{gridDim.x} * blockDim.x;
  for (size_t i = size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) to[i] = from[i];
}

}  // namespace

cudaError_t launch_empty(cudaStream_t stream) {
  empty_kernel<<<1, 128, 0, stream>>>();
  return cudaGetLastError();
}

cudaError_t launch_delay(int microseconds, cudaStream_t stream) {
  delay_kernel<<<1, 1, 0, stream>>>(1000ULL * static_cast<unsigned long long>(microseconds));
  return cudaGetLastError();
}

cudaError_t launch_copy(const void* from, void* to, size_t bytes, int num_multiprocessors, cudaStream_t stream) {
  copy_kernel<<<num_multiprocessors * 8, 512, 0, stream>>>(static_cast<const int4*>(from), static_cast<int4*>(to),
                                                           bytes / 16);
  return cudaGetLastError();
}

}  // namespace nsameta::bench
