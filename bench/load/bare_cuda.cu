// The same stages by the CUDA runtime alone, with one trivial kernel: what no library can be faster than.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "bench/load/stages.h"

namespace {

using nsameta::bench::stage_times;

constexpr int kNumValues = 320;

__global__ void add_one(int* values) { values[threadIdx.x] += 1; }

void check(cudaError_t error) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "bare CUDA program: %s\n", cudaGetErrorString(error));
  std::exit(1);
}

cudaError_t launch(int* values) {
  add_one<<<1, kNumValues>>>(values);
  const cudaError_t error = cudaGetLastError();
  return error != cudaSuccess ? error : cudaDeviceSynchronize();
}

}  // namespace

int main(int argc, char** argv) {
  const int device = argc > 1 ? std::atoi(argv[1]) : 0;
  stage_times times;
  int num_devices = 0;
  int* values = nullptr;
  check(times.run(nsameta::bench::PROBE, [&] { return cudaGetDeviceCount(&num_devices); }));
  check(times.run(nsameta::bench::CREATE, [&] {
    const cudaError_t error = cudaSetDevice(device);
    return error != cudaSuccess ? error : cudaFree(nullptr);
  }));
  check(times.run(nsameta::bench::ALLOCATE, [&] {
    const cudaError_t error = cudaMalloc(&values, kNumValues * sizeof(int));
    if (error != cudaSuccess) return error;
    const std::vector<int> filled(kNumValues, 4);
    return cudaMemcpy(values, filled.data(), kNumValues * sizeof(int), cudaMemcpyHostToDevice);
  }));
  check(times.run(nsameta::bench::FIRST, [&] { return launch(values); }));
  check(times.run(nsameta::bench::SECOND, [&] { return launch(values); }));
  times.print("bare CUDA program");
  return 0;
}
