// GPU time and host time of launches, for the benchmarks of this folder.
//
// graph_us: time of one launch inside a captured graph, data resident in L2: the difference between a graph of 120
// launches and one of 20, over 100, each the median of 200 replays. call_us: host time of one launch on an idle stream,
// median of 2,000.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "nsameta/nsameta.h"

namespace nsameta::bench {

__global__ static void empty_kernel() {}

inline void require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "failed: %s: %s, %s\n", what, nsameta_last_error_message(),
               cudaGetErrorString(cudaGetLastError()));
  std::exit(2);
}

inline double median(std::vector<double> samples) {
  std::nth_element(samples.begin(), samples.begin() + static_cast<long>(samples.size() / 2), samples.end());
  return samples[samples.size() / 2];
}

using launch_fn = std::function<void(cudaStream_t)>;

// Median time of one replay of a graph with `copies` launches, µs.
inline double time_graph(cudaStream_t stream, const launch_fn& launch, int copies) {
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  require(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess, "capture");
  for (int i = 0; i < copies; ++i) launch(stream);
  require(cudaStreamEndCapture(stream, &graph) == cudaSuccess, "end of capture");
  require(cudaGraphInstantiate(&executable, graph, 0) == cudaSuccess, "instantiation");
  cudaEvent_t start = nullptr;
  cudaEvent_t stop = nullptr;
  cudaEventCreate(&start);
  cudaEventCreate(&stop);
  constexpr int kWarmUp = 100;  // clocks and caches take some replays to settle
  std::vector<double> samples;
  for (int i = 0; i < kWarmUp + 200; ++i) {
    cudaEventRecord(start, stream);
    cudaGraphLaunch(executable, stream);
    cudaEventRecord(stop, stream);
    require(cudaStreamSynchronize(stream) == cudaSuccess, "replay");
    float milliseconds = 0;
    cudaEventElapsedTime(&milliseconds, start, stop);
    if (i >= kWarmUp) samples.push_back(milliseconds * 1e3);
  }
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  cudaEventDestroy(start);
  cudaEventDestroy(stop);
  return median(samples);
}

inline double graph_us(cudaStream_t stream, const launch_fn& launch) {
  return (time_graph(stream, launch, 120) - time_graph(stream, launch, 20)) / 100;
}

inline double call_us(cudaStream_t stream, const launch_fn& launch) {
  std::vector<double> samples;
  for (int i = 0; i < 2100; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    launch(stream);
    const auto end = std::chrono::steady_clock::now();
    cudaStreamSynchronize(stream);
    if (i >= 100) samples.push_back(std::chrono::duration<double, std::micro>(end - begin).count());
  }
  return median(samples);
}

}  // namespace nsameta::bench
