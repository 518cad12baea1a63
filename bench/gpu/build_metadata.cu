// GPU time and host time of build_metadata through the public C ABI, each shape checked against the oracle first.
// Usage: bench_gpu_build_metadata [filter]: runs the shapes whose name contains `filter`.
//
// graph: time of one build inside a captured graph, data resident in L2: the difference between a graph of 120 builds
// and one of 20, over 100, each the median of 200 replays. call: host time of one nsameta_plan_run on an idle stream,
// median of 2,000. one-shot: the same of nsameta_build_metadata. empty: the same two measurements of an empty kernel.
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "nsameta/nsameta.h"
#include "reference/build_metadata.h"

namespace {

__global__ void empty_kernel() {}

void require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "failed: %s: %s, %s\n", what, nsameta_last_error_message(),
               cudaGetErrorString(cudaGetLastError()));
  std::exit(2);
}

double median(std::vector<double> samples) {
  std::nth_element(samples.begin(), samples.begin() + static_cast<long>(samples.size() / 2), samples.end());
  return samples[samples.size() / 2];
}

using launch_fn = std::function<void(cudaStream_t)>;

// Median time of one replay of a graph with `copies` launches, µs.
double time_graph(cudaStream_t stream, const launch_fn& launch, int copies) {
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
  std::vector<double> samples;
  for (int i = 0; i < 210; ++i) {
    cudaEventRecord(start, stream);
    cudaGraphLaunch(executable, stream);
    cudaEventRecord(stop, stream);
    require(cudaStreamSynchronize(stream) == cudaSuccess, "replay");
    float milliseconds = 0;
    cudaEventElapsedTime(&milliseconds, start, stop);
    if (i >= 10) samples.push_back(milliseconds * 1e3);
  }
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  cudaEventDestroy(start);
  cudaEventDestroy(stop);
  return median(samples);
}

double graph_us(cudaStream_t stream, const launch_fn& launch) {
  return (time_graph(stream, launch, 120) - time_graph(stream, launch, 20)) / 100;
}

double call_us(cudaStream_t stream, const launch_fn& launch) {
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

enum class wanted { SEED, WITH_CU, ALL };

struct shape {
  const char* name;
  int mode;
  int batch;
  int min_q, max_q;  // ragged where they differ or in mode extend
  wanted outputs;
  int first_q = 0;  // of request 0, if not 0
};

const shape kShapes[] = {
    {"seed b1 q1-8", NSAMETA_MODE_DRAFT_EXTEND, 1, 1, 8, wanted::SEED},
    {"seed b8 q1-8", NSAMETA_MODE_DRAFT_EXTEND, 8, 1, 8, wanted::SEED},
    {"seed b32 q4", NSAMETA_MODE_DRAFT_EXTEND, 32, 4, 4, wanted::SEED},
    {"seed b32 q1-8", NSAMETA_MODE_DRAFT_EXTEND, 32, 1, 8, wanted::SEED},
    {"seed b64 q1-8", NSAMETA_MODE_DRAFT_EXTEND, 64, 1, 8, wanted::SEED},
    {"seed b256 q4", NSAMETA_MODE_DRAFT_EXTEND, 256, 4, 4, wanted::SEED},
    {"seed b256 q1-8", NSAMETA_MODE_DRAFT_EXTEND, 256, 1, 8, wanted::SEED},
    {"seed b32 q1-128", NSAMETA_MODE_DRAFT_EXTEND, 32, 1, 128, wanted::SEED},
    {"seed b256 q1-128", NSAMETA_MODE_DRAFT_EXTEND, 256, 1, 128, wanted::SEED},
    {"all b1 q4", NSAMETA_MODE_DRAFT_EXTEND, 1, 4, 4, wanted::ALL},
    {"all b32 q4", NSAMETA_MODE_DRAFT_EXTEND, 32, 4, 4, wanted::ALL},
    {"all b256 q4", NSAMETA_MODE_DRAFT_EXTEND, 256, 4, 4, wanted::ALL},
    {"all b32 verify4", NSAMETA_MODE_TARGET_VERIFY, 32, 4, 4, wanted::ALL},
    {"all b256 verify4", NSAMETA_MODE_TARGET_VERIFY, 256, 4, 4, wanted::ALL},
    {"all b32 decode", NSAMETA_MODE_DECODE, 32, 1, 1, wanted::ALL},
    {"all b256 decode", NSAMETA_MODE_DECODE, 256, 1, 1, wanted::ALL},
    {"all b1 extend8192", NSAMETA_MODE_EXTEND, 1, 8192, 8192, wanted::ALL},
    {"all b8 extend1024", NSAMETA_MODE_EXTEND, 8, 1024, 1024, wanted::ALL},
    {"seed b1024 q4-256", NSAMETA_MODE_DRAFT_EXTEND, 1024, 4, 256, wanted::SEED},
    {"seed b4096 q4-256", NSAMETA_MODE_DRAFT_EXTEND, 4096, 4, 256, wanted::SEED},
    {"seed b16384 q4-256", NSAMETA_MODE_DRAFT_EXTEND, 16384, 4, 256, wanted::SEED},
    {"seed b65536 q4-256", NSAMETA_MODE_DRAFT_EXTEND, 65536, 4, 256, wanted::SEED},
    {"seed b65536 q256", NSAMETA_MODE_DRAFT_EXTEND, 65536, 256, 256, wanted::SEED},
    {"seed skew 1M + 60000", NSAMETA_MODE_DRAFT_EXTEND, 60001, 1, 1, wanted::SEED, 1 << 20},
    {"cu b1024 q4-256", NSAMETA_MODE_DRAFT_EXTEND, 1024, 4, 256, wanted::WITH_CU},
    {"cu b4096 q4-256", NSAMETA_MODE_DRAFT_EXTEND, 4096, 4, 256, wanted::WITH_CU},
    {"cu b16384 q4-256", NSAMETA_MODE_DRAFT_EXTEND, 16384, 4, 256, wanted::WITH_CU},
    {"cu b65536 q4-256", NSAMETA_MODE_DRAFT_EXTEND, 65536, 4, 256, wanted::WITH_CU},
    {"cu b65536 q256", NSAMETA_MODE_DRAFT_EXTEND, 65536, 256, 256, wanted::WITH_CU},
    {"all b65536 q256", NSAMETA_MODE_DRAFT_EXTEND, 65536, 256, 256, wanted::ALL},
};

// Device buffers of one shape, and the arguments bound to them.
class bound_case {
 public:
  bound_case(const shape& s, unsigned seed) {
    std::mt19937 random(seed);
    inputs_.mode = s.mode;
    inputs_.topk = 2048;
    const bool is_constant = s.mode == NSAMETA_MODE_DECODE || s.mode == NSAMETA_MODE_TARGET_VERIFY;
    int64_t num_tokens = 0;
    for (int r = 0; r < s.batch; ++r) {
      int q = std::uniform_int_distribution<int>(s.min_q, s.max_q)(random);
      if (r == 0 && s.first_q != 0) q = s.first_q;
      inputs_.extend_seq_lens.push_back(q);
      inputs_.seq_lens.push_back(q + std::uniform_int_distribution<int>(0, 100000)(random));
      num_tokens += q;
    }
    if (is_constant) inputs_.tokens_per_request = s.max_q;
    nsameta_build_metadata_args_init(&args);
    args.mode = s.mode;
    args.topk = inputs_.topk;
    args.clamp = NSAMETA_CLAMP_OFF;
    args.seq_lens = upload(inputs_.seq_lens);
    if (is_constant) {
      args.tokens_per_request = s.max_q;
    } else {
      args.extend_seq_lens = upload(inputs_.extend_seq_lens);
    }
    bind(&args.seqlens_expanded, num_tokens, &nsameta::reference::metadata::seqlens_expanded);
    bind(&args.nsa_cache_seqlens, num_tokens, &nsameta::reference::metadata::nsa_cache_seqlens);
    if (s.outputs == wanted::SEED) return;
    bind(&args.nsa_cu_seqlens_k, num_tokens + 1, &nsameta::reference::metadata::nsa_cu_seqlens_k);
    if (s.outputs == wanted::WITH_CU) return;
    bind(&args.cache_seqlens, s.batch, &nsameta::reference::metadata::cache_seqlens);
    bind(&args.cu_seqlens_k, s.batch + 1, &nsameta::reference::metadata::cu_seqlens_k);
    bind(&args.cu_seqlens_q, s.batch + 1, &nsameta::reference::metadata::cu_seqlens_q);
    bind(&args.token_to_batch_idx, num_tokens, &nsameta::reference::metadata::token_to_batch_idx);
    bind(&args.positions, num_tokens, &nsameta::reference::metadata::positions);
    bind(&args.topk_indices_offset, num_tokens, &nsameta::reference::metadata::topk_indices_offset);
    bind(&args.indexer_ks, num_tokens, &nsameta::reference::metadata::indexer_ks);
    bind(&args.indexer_ke, num_tokens, &nsameta::reference::metadata::indexer_ke);
    args.total_tokens = allocate(1);
    if (s.mode == NSAMETA_MODE_TARGET_VERIFY) {
      inputs_.ctx_lens_columns = s.max_q;
      bind(&args.paged_mqa_ctx_lens_2d, num_tokens, &nsameta::reference::metadata::paged_mqa_ctx_lens_2d);
      args.paged_mqa_ctx_lens_2d.ndim = 2;
      args.paged_mqa_ctx_lens_2d.shape[0] = s.batch;
      args.paged_mqa_ctx_lens_2d.shape[1] = s.max_q;
      args.paged_mqa_ctx_lens_2d.strides[0] = s.max_q;
      args.paged_mqa_ctx_lens_2d.strides[1] = 1;
    }
  }

  ~bound_case() {
    for (void* data : allocations_) cudaFree(data);
  }

  // Number of wrong elements.
  int64_t verify() const {
    const auto expected = nsameta::reference::build_metadata(inputs_);
    int64_t wrong = 0;
    for (const auto& bound : bound_) {
      const auto& values = expected.*bound.expected;
      std::vector<int32_t> got(values.size());
      cudaMemcpy(got.data(), bound.tensor->data, got.size() * 4, cudaMemcpyDeviceToHost);
      for (size_t i = 0; i < got.size(); ++i) wrong += got[i] != values[i];
    }
    return wrong;
  }

  double megabytes() const { return bytes_ / 1e6; }

  nsameta_build_metadata_args args;

 private:
  using member = std::vector<int32_t> nsameta::reference::metadata::*;
  struct bound_output {
    nsameta_tensor* tensor;
    member expected;
  };

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

  nsameta_tensor upload(const std::vector<int64_t>& values) {
    const std::vector<int32_t> narrow(values.begin(), values.end());
    const nsameta_tensor tensor = allocate(static_cast<int64_t>(values.size()));
    cudaMemcpy(tensor.data, narrow.data(), narrow.size() * 4, cudaMemcpyHostToDevice);
    return tensor;
  }

  void bind(nsameta_tensor* tensor, int64_t count, member expected) {
    *tensor = allocate(count);
    bound_.push_back({tensor, expected});
  }

  nsameta::reference::metadata_inputs inputs_;
  std::vector<bound_output> bound_;
  std::vector<void*> allocations_;
  double bytes_ = 0;
};

void run_shape(nsameta_context* context, cudaStream_t stream, const shape& s, unsigned seed) {
  bound_case c(s, seed);
  nsameta_plan* plan = nullptr;
  require(nsameta_plan_create(context, NSAMETA_OP_BUILD_METADATA, &c.args, &plan) == NSAMETA_OK, "plan");
  const launch_fn by_plan = [&](cudaStream_t on) {
    require(nsameta_plan_run(plan, -1, -1, -1, on) == NSAMETA_OK, "plan_run");
  };
  const launch_fn one_shot = [&](cudaStream_t on) {
    require(nsameta_build_metadata(context, &c.args, on) == NSAMETA_OK, "build_metadata");
  };
  by_plan(stream);
  require(cudaStreamSynchronize(stream) == cudaSuccess, "first run");
  const int64_t wrong = c.verify();
  const double gpu = graph_us(stream, by_plan);
  std::printf("%-22s %10.2f %10.2f %10.2f %10.2f %8.2f %s\n", s.name, gpu, call_us(stream, by_plan),
              call_us(stream, one_shot), c.megabytes(), c.megabytes() / gpu, wrong == 0 ? "ok" : "WRONG");
  nsameta_plan_destroy(plan);
}

}  // namespace

int main(int argc, char** argv) {
  const char* filter = argc > 1 ? argv[1] : "";
  const unsigned seed = 1;
  nsameta_context* context = nullptr;
  require(nsameta_context_create({NSAMETA_DEVICE_CUDA, 0}, "cuda", &context) == NSAMETA_OK, "context");
  cudaStream_t stream = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  cudaDeviceProp properties;
  cudaGetDeviceProperties(&properties, 0);
  const launch_fn empty = [](cudaStream_t on) { empty_kernel<<<1, 128, 0, on>>>(); };
  std::printf("%s, seed %u\n", properties.name, seed);
  std::printf("%-22s %10s %10s %10s %10s %8s\n", "shape", "graph us", "call us", "oneshot us", "MB", "TB/s");
  std::printf("%-22s %10.2f %10.2f\n", "empty", graph_us(stream, empty), call_us(stream, empty));
  for (const shape& s : kShapes) {
    if (std::strstr(s.name, filter) != nullptr) run_shape(context, stream, s, seed);
  }
  nsameta_context_destroy(context);
  return 0;
}
