// Kernels of the yardsticks.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace nsameta::bench {

cudaError_t launch_empty(cudaStream_t stream);
// Keeps the stream busy for so long, so that what is launched meanwhile begins without a gap.
cudaError_t launch_delay(int microseconds, cudaStream_t stream);
// bytes: a multiple of 16.
cudaError_t launch_copy(const void* from, void* to, size_t bytes, int num_multiprocessors, cudaStream_t stream);

}  // namespace nsameta::bench
