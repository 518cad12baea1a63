// GPU time and host time of build_metadata through the public C ABI, each shape checked against the oracle first.
// Usage: bench_gpu_build_metadata [filter]: runs the shapes whose name contains `filter`.
//
// graph, call: see timing.h, of nsameta_plan_run. one-shot: call of nsameta_build_metadata. empty: of an empty kernel.
#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "bench/gpu/device_memory.h"
#include "bench/gpu/timing.h"
#include "nsameta/nsameta.h"
#include "reference/build_metadata.h"

namespace {

using nsameta::bench::call_us;
using nsameta::bench::graph_us;
using nsameta::bench::launch_fn;
using nsameta::bench::require;

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
    args.seq_lens = memory_.upload(inputs_.seq_lens);
    if (is_constant) {
      args.tokens_per_request = s.max_q;
    } else {
      args.extend_seq_lens = memory_.upload(inputs_.extend_seq_lens);
    }
    bind(&args.out.seqlens_expanded, num_tokens, &nsameta::reference::metadata::seqlens_expanded);
    bind(&args.out.nsa_cache_seqlens, num_tokens, &nsameta::reference::metadata::nsa_cache_seqlens);
    if (s.outputs == wanted::SEED) return;
    bind(&args.out.nsa_cu_seqlens_k, num_tokens + 1, &nsameta::reference::metadata::nsa_cu_seqlens_k);
    if (s.outputs == wanted::WITH_CU) return;
    bind(&args.out.cache_seqlens, s.batch, &nsameta::reference::metadata::cache_seqlens);
    bind(&args.out.cu_seqlens_k, s.batch + 1, &nsameta::reference::metadata::cu_seqlens_k);
    bind(&args.out.cu_seqlens_q, s.batch + 1, &nsameta::reference::metadata::cu_seqlens_q);
    bind(&args.out.token_to_batch_idx, num_tokens, &nsameta::reference::metadata::token_to_batch_idx);
    bind(&args.out.positions, num_tokens, &nsameta::reference::metadata::positions);
    bind(&args.out.topk_indices_offset, num_tokens, &nsameta::reference::metadata::topk_indices_offset);
    bind(&args.out.indexer_ks, num_tokens, &nsameta::reference::metadata::indexer_ks);
    bind(&args.out.indexer_ke, num_tokens, &nsameta::reference::metadata::indexer_ke);
    args.out.total_tokens = memory_.allocate(1);
    if (s.mode == NSAMETA_MODE_TARGET_VERIFY) {
      inputs_.ctx_lens_columns = s.max_q;
      bind(&args.out.paged_mqa_ctx_lens_2d, num_tokens, &nsameta::reference::metadata::paged_mqa_ctx_lens_2d);
      args.out.paged_mqa_ctx_lens_2d.ndim = 2;
      args.out.paged_mqa_ctx_lens_2d.shape[0] = s.batch;
      args.out.paged_mqa_ctx_lens_2d.shape[1] = s.max_q;
      args.out.paged_mqa_ctx_lens_2d.strides[0] = s.max_q;
      args.out.paged_mqa_ctx_lens_2d.strides[1] = 1;
    }
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

  double megabytes() const { return memory_.bytes() / 1e6; }

  nsameta_build_metadata_args args;

 private:
  using member = std::vector<int32_t> nsameta::reference::metadata::*;
  struct bound_output {
    nsameta_tensor* tensor;
    member expected;
  };

  void bind(nsameta_tensor* tensor, int64_t count, member expected) {
    *tensor = memory_.allocate(count);
    bound_.push_back({tensor, expected});
  }

  nsameta::reference::metadata_inputs inputs_;
  std::vector<bound_output> bound_;
  nsameta::bench::device_memory memory_;
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
  require(cudaDeviceSynchronize() == cudaSuccess, "preparation");  // which ran on another stream
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
  const launch_fn empty = [](cudaStream_t on) { nsameta::bench::empty_kernel<<<1, 128, 0, on>>>(); };
  std::printf("%s, seed %u\n", properties.name, seed);
  std::printf("%-22s %10s %10s %10s %10s %8s\n", "shape", "graph us", "call us", "oneshot us", "MB", "TB/s");
  std::printf("%-22s %10.2f %10.2f\n", "empty", graph_us(stream, empty), call_us(stream, empty));
  for (const shape& s : kShapes) {
    if (std::strstr(s.name, filter) != nullptr) run_shape(context, stream, s, seed);
  }
  nsameta_context_destroy(context);
  return 0;
}
