#include "bench/gpu/timing.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "bench/gpu/kernels.h"

namespace nsameta::bench {
namespace {

constexpr int kDelayUs = 60;  // longer than the host needs to launch a graph of a hundred nodes
constexpr size_t kCopyBytes = size_t{512} << 20;
constexpr size_t kFlushFactor = 3;  // of L2

size_t flush_bytes(const cudaDeviceProp& properties) {
  return kFlushFactor * static_cast<size_t>(properties.l2CacheSize);
}

}  // namespace

void require(cudaError_t status, const char* what) {
  if (status != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

device_bytes allocate_device(size_t bytes) {
  void* data = nullptr;
  require(cudaMalloc(&data, bytes), "cudaMalloc");
  return device_bytes(data);
}

timer::timer() {
  require(cudaGetDeviceProperties(&properties_, 0), "cudaGetDeviceProperties");
  require(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  require(cudaEventCreate(&start_), "cudaEventCreate");
  require(cudaEventCreate(&stop_), "cudaEventCreate");
  flushed_ = allocate_device(flush_bytes(properties_));
}

timer::~timer() {
  cudaEventDestroy(stop_);
  cudaEventDestroy(start_);
  cudaStreamDestroy(stream_);
}

cudaGraph_t timer::capture(const launch_fn& launch, int num_copies) {
  require(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  cudaGraph_t graph = nullptr;
  try {
    for (int i = 0; i < num_copies; ++i) launch(i, stream_);
  } catch (...) {
    if (cudaStreamEndCapture(stream_, &graph) == cudaSuccess) cudaGraphDestroy(graph);
    throw;
  }
  require(cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
  return graph;
}

timer::graph_exec timer::instantiate(const launch_fn& launch, int num_copies) {
  cudaGraph_t graph = capture(launch, num_copies);
  cudaGraphExec_t executable = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  require(status, "cudaGraphInstantiate");
  return {executable, &cudaGraphExecDestroy};
}

void timer::flush_l2() {
  require(cudaMemsetAsync(flushed_.get(), 0x5a, flush_bytes(properties_), stream_), "cudaMemsetAsync");
}

double timer::replay_us(cudaGraphExec_t graph, bool is_cold) {
  if (is_cold) flush_l2();
  require(launch_delay(kDelayUs, stream_), "delay");
  require(cudaEventRecord(start_, stream_), "cudaEventRecord");
  require(cudaGraphLaunch(graph, stream_), "cudaGraphLaunch");
  require(cudaEventRecord(stop_, stream_), "cudaEventRecord");
  require(cudaEventSynchronize(stop_), "replay");
  float milliseconds = 0;
  require(cudaEventElapsedTime(&milliseconds, start_, stop_), "cudaEventElapsedTime");
  return 1e3 * static_cast<double>(milliseconds);
}

// Half as many replays again come first: clocks and caches take some to settle.
double timer::median_replay_us(cudaGraphExec_t graph, bool is_cold) {
  constexpr double kBudgetUs = 30e3;
  replay_us(graph, is_cold);
  const double once = replay_us(graph, is_cold);
  const int num_replays = std::clamp(static_cast<int>(kBudgetUs / once), 20, 200);
  for (int i = 0; i < num_replays / 2; ++i) replay_us(graph, is_cold);
  std::vector<double> samples;
  for (int i = 0; i < num_replays; ++i) samples.push_back(replay_us(graph, is_cold));
  return median(std::move(samples));
}

double timer::counted_us(const launch_fn& launch, int num_counted, bool is_cold) {
  const graph_exec few = instantiate(launch, 2);
  const graph_exec many = instantiate(launch, num_counted + 2);
  const double few_us = median_replay_us(few.get(), is_cold);
  return (median_replay_us(many.get(), is_cold) - few_us) / num_counted;
}

double timer::graph_us(const launch_fn& launch, int num_counted) { return counted_us(launch, num_counted, false); }

double timer::cold_graph_us(const launch_fn& launch, int num_counted) { return counted_us(launch, num_counted, true); }

double timer::call_ns(const launch_fn& launch, int num_samples) {
  using clock = std::chrono::steady_clock;
  std::vector<double> samples;
  const int num_warm_up = num_samples / 4;
  for (int i = 0; i < num_warm_up + num_samples; ++i) {
    const auto begin = clock::now();
    launch(0, stream_);
    const auto end = clock::now();
    require(cudaStreamSynchronize(stream_), "call");
    if (i >= num_warm_up) samples.push_back(std::chrono::duration<double, std::nano>(end - begin).count());
  }
  return median(std::move(samples));
}

double timer::copy_bandwidth() {
  const device_bytes from = allocate_device(kCopyBytes);
  const device_bytes to = allocate_device(kCopyBytes);
  require(cudaMemset(from.get(), 1, kCopyBytes), "cudaMemset");
  require(cudaDeviceSynchronize(), "cudaMemset");
  const launch_fn copy = [&](int, cudaStream_t on) {
    require(launch_copy(from.get(), to.get(), kCopyBytes, properties_.multiProcessorCount, on), "copy");
  };
  return 2.0 * static_cast<double>(kCopyBytes) / graph_us(copy, 4);
}

int timer::num_kernels(const launch_fn& launch) {
  cudaGraph_t graph = capture(launch, 1);
  const std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, decltype(&cudaGraphDestroy)> owner(graph,
                                                                                               &cudaGraphDestroy);
  size_t num_nodes = 0;
  require(cudaGraphGetNodes(graph, nullptr, &num_nodes), "cudaGraphGetNodes");
  std::vector<cudaGraphNode_t> nodes(num_nodes);
  require(cudaGraphGetNodes(graph, nodes.data(), &num_nodes), "cudaGraphGetNodes");
  for (const cudaGraphNode_t node : nodes) {
    cudaGraphNodeType type{};
    require(cudaGraphNodeGetType(node, &type), "cudaGraphNodeGetType");
    if (type != cudaGraphNodeTypeKernel) throw std::runtime_error("a launch puts more than kernels into a graph");
  }
  return static_cast<int>(num_nodes);
}

}  // namespace nsameta::bench
