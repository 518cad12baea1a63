// GPU time and host time of launches.
//
// A launch is timed inside a captured graph: the time of a graph of n + 2 launches less that of a graph of 2, over n,
// each the median of its replays. So the first and the last launch, and what starting a graph takes, do not count. A
// replay waits on the GPU until the host has handed over all of it.
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/workloads/spread.h"

namespace nsameta::bench {

// Throws, with the text of the runtime.
void require(cudaError_t status, const char* what);

// copy_idx counts the launches of a graph.
using launch_fn = std::function<void(int copy_idx, cudaStream_t)>;

struct release_device_memory {
  void operator()(void* data) const { cudaFree(data); }
};
using device_bytes = std::unique_ptr<void, release_device_memory>;
device_bytes allocate_device(size_t bytes);

class timer {
 public:
  timer();
  ~timer();
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;

  cudaStream_t stream() const { return stream_; }
  const cudaDeviceProp& properties() const { return properties_; }

  // One launch, data as the launch before left them in L2. num_counted: n above.
  double graph_us(const launch_fn& launch, int num_counted);
  // The same after L2 was filled with something else. Launches must take turns on buffers that exceed it.
  double cold_graph_us(const launch_fn& launch, int num_counted);
  // Of the host, for one launch on an idle stream: median of `num_samples`.
  double call_ns(const launch_fn& launch, int num_samples);
  // Bytes a microsecond, read and written, of a plain copy of 512 MiB.
  double copy_bandwidth();
  // Kernels that one launch puts into a graph; throws when it puts anything else there.
  int num_kernels(const launch_fn& launch);

 private:
  using graph_exec = std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, decltype(&cudaGraphExecDestroy)>;

  cudaGraph_t capture(const launch_fn& launch, int num_copies);
  graph_exec instantiate(const launch_fn& launch, int num_copies);
  void flush_l2();
  double replay_us(cudaGraphExec_t graph, bool is_cold);
  double median_replay_us(cudaGraphExec_t graph, bool is_cold);
  double counted_us(const launch_fn& launch, int num_counted, bool is_cold);

  cudaDeviceProp properties_{};
  cudaStream_t stream_ = nullptr;
  cudaEvent_t start_ = nullptr;
  cudaEvent_t stop_ = nullptr;
  device_bytes flushed_;
};

}  // namespace nsameta::bench
