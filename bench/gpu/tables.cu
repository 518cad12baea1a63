// GPU time and host time of a replay step: lengths, both page tables and the schedule in one launch, each shape checked
// against the oracle first. Usage: bench_gpu_tables [filter]: runs the shapes whose name contains `filter`.
//
// Shapes are those of an engine with a table width of 163,840: context lengths uniform in [ctx/2, ctx), page 64, top-k
// 2048, DeepGEMM's schedule for 132 multiprocessors. graph, call: see timing.h, of nsameta_plan_run with the context as
// a bound, and ("no bound") without. floor: the larger of the bytes over the copy bandwidth of the same run and an
// empty kernel in a graph; a page entry counts as a sector of 32 bytes where the wide table does not bring it.
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

constexpr int kTableWidth = 163'840;
constexpr int kPageSize = 64;
constexpr int kNumSms = 132;

struct shape {
  const char* name;
  int mode;
  int batch;
  int context;
  int width;  // query tokens of a request
  bool has_wide_table;
};

const shape kShapes[] = {
    {"verify (1, 4K)", NSAMETA_MODE_TARGET_VERIFY, 1, 4 << 10, 4, true},
    {"verify (32, 4K)", NSAMETA_MODE_TARGET_VERIFY, 32, 4 << 10, 4, true},
    {"verify (32, 64K)", NSAMETA_MODE_TARGET_VERIFY, 32, 64 << 10, 4, true},
    {"verify (64, 128K)", NSAMETA_MODE_TARGET_VERIFY, 64, 128 << 10, 4, true},
    {"verify (256, 4K)", NSAMETA_MODE_TARGET_VERIFY, 256, 4 << 10, 4, true},
    {"verify (1, 4K) no wide", NSAMETA_MODE_TARGET_VERIFY, 1, 4 << 10, 4, false},
    {"verify (32, 4K) no wide", NSAMETA_MODE_TARGET_VERIFY, 32, 4 << 10, 4, false},
    {"verify (32, 64K) no wide", NSAMETA_MODE_TARGET_VERIFY, 32, 64 << 10, 4, false},
    {"verify (64, 128K) no wide", NSAMETA_MODE_TARGET_VERIFY, 64, 128 << 10, 4, false},
    {"verify (256, 4K) no wide", NSAMETA_MODE_TARGET_VERIFY, 256, 4 << 10, 4, false},
    {"decode (1, 4K)", NSAMETA_MODE_DECODE, 1, 4 << 10, 1, true},
    {"decode (32, 4K)", NSAMETA_MODE_DECODE, 32, 4 << 10, 1, true},
    {"decode (32, 64K)", NSAMETA_MODE_DECODE, 32, 64 << 10, 1, true},
    {"decode (64, 128K)", NSAMETA_MODE_DECODE, 64, 128 << 10, 1, true},
    {"decode (256, 4K)", NSAMETA_MODE_DECODE, 256, 4 << 10, 1, true},
    {"extend (1, 4K)", NSAMETA_MODE_DRAFT_EXTEND, 1, 4 << 10, 0, true},
    {"extend (32, 4K)", NSAMETA_MODE_DRAFT_EXTEND, 32, 4 << 10, 0, true},
    {"extend (32, 64K)", NSAMETA_MODE_DRAFT_EXTEND, 32, 64 << 10, 0, true},
    {"extend (256, 4K)", NSAMETA_MODE_DRAFT_EXTEND, 256, 4 << 10, 0, true},
};

// Device buffers of one shape, and the arguments bound to them.
class step {
 public:
  explicit step(const shape& s) {
    std::mt19937 random(1);
    in_.mode = s.mode;
    in_.topk = 2048;
    in_.tokens_per_request = s.mode == NSAMETA_MODE_TARGET_VERIFY ? s.width : 0;
    in_.clamp = s.mode == NSAMETA_MODE_DRAFT_EXTEND;
    int64_t num_tokens = int64_t{s.batch} * s.width;
    for (int r = 0; r < s.batch; ++r) {
      in_.seq_lens.push_back(std::uniform_int_distribution<int>(s.context / 2, s.context - 1)(random));
      in_.req_pool_indices.push_back((r * 7 + 3) % (s.batch + 4));
      if (s.width > 0) continue;
      in_.extend_seq_lens.push_back(std::uniform_int_distribution<int>(1, 4)(random));
      num_tokens += in_.extend_seq_lens.back();
    }
    make_pool(s.batch + 4, random);
    nsameta_build_metadata_args_init(&args);
    args.mode = s.mode;
    args.topk = in_.topk;
    args.tokens_per_request = in_.tokens_per_request;
    args.page_size = in_.page_size = kPageSize;
    args.mqa_variant = in_.mqa_variant = NSAMETA_MQA_SM90_JUN26;
    in_.mqa_by_token = s.mode != NSAMETA_MODE_DECODE;
    in_.num_sms = kNumSms;
    in_.has_slots = true;
    args.seq_lens = memory_.upload(in_.seq_lens);
    if (s.width == 0) args.extend_seq_lens = memory_.upload(in_.extend_seq_lens);
    args.req_pool_indices = memory_.upload(in_.req_pool_indices);
    bind_outputs(s, num_tokens);
  }

  // Number of wrong elements.
  int64_t verify() const {
    const auto expected = nsameta::reference::build_metadata(in_);
    int64_t wrong = 0;
    for (const auto& bound : bound_) wrong += compare(bound.tensor->data, expected.*bound.expected);
    const bool by_token = in_.mode != NSAMETA_MODE_DECODE;
    const int64_t num_rows = by_token ? expected.total_tokens : static_cast<int64_t>(in_.seq_lens.size());
    for (int64_t row = 0; row < num_rows; ++row) {
      const auto request = static_cast<size_t>(by_token ? expected.token_to_batch_idx[static_cast<size_t>(row)] : row);
      wrong += compare_row(args.out.page_table_1, row, expected.page_table_1, request);
      wrong += compare_row(args.out.real_page_table, row, expected.real_page_table, request);
    }
    return wrong;
  }

  // Read and written once: the live part of each row, its copies, pages.
  double bytes() const {
    const auto m = nsameta::reference::build_metadata(in_);
    const bool by_token = in_.mode != NSAMETA_MODE_DECODE;
    double sum = static_cast<double>(m.total_tokens) * 12;
    for (size_t r = 0; r < in_.seq_lens.size(); ++r) {
      const double rows = !by_token                     ? 1
                          : in_.extend_seq_lens.empty() ? in_.tokens_per_request
                                                        : static_cast<double>(in_.extend_seq_lens[r]);
      const auto pages = static_cast<double>(m.real_page_table[r].size());
      const bool is_wide = in_.table_columns > 0;
      sum += (is_wide ? static_cast<double>(m.page_table_1[r].size()) * (1 + rows) * 4 : pages * 32) + pages * rows * 4;
    }
    return sum;
  }

  nsameta_build_metadata_args args;

 private:
  using member = std::vector<int32_t> nsameta::reference::metadata::*;
  struct bound_output {
    nsameta_tensor* tensor;
    member expected;
  };

  void make_pool(int num_rows, std::mt19937& random) {
    pool_.resize(static_cast<size_t>(num_rows) * kTableWidth);
    for (size_t i = 0; i < pool_.size(); i += kPageSize) {
      const int page = std::uniform_int_distribution<int>(0, 1 << 20)(random);
      for (size_t k = 0; k < kPageSize; ++k) pool_[i + k] = page * kPageSize + static_cast<int>(k);
    }
    in_.req_to_token = pool_.data();
    in_.pool_rows = num_rows;
    in_.max_context = kTableWidth;
    args_pool_ = memory_.allocate_rows(num_rows, kTableWidth);
    cudaMemcpy(args_pool_.data, pool_.data(), pool_.size() * 4, cudaMemcpyHostToDevice);
  }

  void bind(nsameta_tensor* tensor, int64_t count, member expected) {
    *tensor = memory_.allocate(count);
    bound_.push_back({tensor, expected});
  }

  // What the engine's replay of the mode writes.
  void bind_outputs(const shape& s, int64_t num_tokens) {
    using m = nsameta::reference::metadata;
    args.req_to_token = args_pool_;
    if (s.mode != NSAMETA_MODE_DECODE) bind(&args.out.seqlens_expanded, num_tokens, &m::seqlens_expanded);
    bind(&args.out.nsa_cache_seqlens, num_tokens, &m::nsa_cache_seqlens);
    bind(&args.out.nsa_cu_seqlens_k, num_tokens + 1, &m::nsa_cu_seqlens_k);
    bind(&args.out.cache_seqlens, s.batch, &m::cache_seqlens);
    bind(&args.out.cu_seqlens_k, s.batch + 1, &m::cu_seqlens_k);
    if (s.mode == NSAMETA_MODE_TARGET_VERIFY) {
      in_.ctx_lens_columns = s.width;
      args.out.paged_mqa_ctx_lens_2d = memory_.allocate_rows(s.batch, s.width);
      bound_.push_back({&args.out.paged_mqa_ctx_lens_2d, &m::paged_mqa_ctx_lens_2d});
    }
    args.out.paged_mqa_schedule = memory_.allocate_rows(kNumSms + 1, 2);
    bound_.push_back({&args.out.paged_mqa_schedule, &m::paged_mqa_schedule});
    const int64_t num_rows = s.mode == NSAMETA_MODE_DECODE ? s.batch : num_tokens;
    if (s.has_wide_table) {
      in_.table_columns = kTableWidth;
      args.out.page_table_1 = memory_.allocate_rows(num_rows, kTableWidth);
    }
    in_.page_columns = kTableWidth / kPageSize;
    args.out.real_page_table = memory_.allocate_rows(num_rows, in_.page_columns);
  }

  static int64_t compare(const void* data, const std::vector<int32_t>& expected) {
    std::vector<int32_t> got(expected.size());
    cudaMemcpy(got.data(), data, got.size() * 4, cudaMemcpyDeviceToHost);
    int64_t wrong = 0;
    for (size_t i = 0; i < got.size(); ++i) wrong += got[i] != expected[i];
    return wrong;
  }

  static int64_t compare_row(const nsameta_tensor& table, int64_t row,
                             const std::vector<std::vector<int32_t>>& expected, size_t request) {
    if (table.data == nullptr) return 0;
    return compare(static_cast<const int32_t*>(table.data) + row * table.strides[0], expected[request]);
  }

  nsameta::reference::metadata_inputs in_;
  std::vector<int32_t> pool_;
  nsameta_tensor args_pool_{};
  std::vector<bound_output> bound_;
  nsameta::bench::device_memory memory_;
};

__global__ void copy_kernel(const int4* from, int4* to, size_t count) {
  const size_t step = size_t{gridDim.x} * blockDim.x;
  for (size_t i = size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) to[i] = from[i];
}

// Of a plain copy of 512 MiB, bytes a microsecond.
double copy_bandwidth(cudaStream_t stream) {
  constexpr size_t kBytes = size_t{512} << 20;
  void* from = nullptr;
  void* to = nullptr;
  require(cudaMalloc(&from, kBytes) == cudaSuccess && cudaMalloc(&to, kBytes) == cudaSuccess, "memory");
  cudaMemset(from, 1, kBytes);
  const launch_fn copy = [&](cudaStream_t on) {
    copy_kernel<<<132 * 8, 512, 0, on>>>(static_cast<const int4*>(from), static_cast<int4*>(to), kBytes / 16);
  };
  const double us = nsameta::bench::time_graph(stream, copy, 4) / 4;
  cudaFree(from);
  cudaFree(to);
  return 2.0 * kBytes / us;
}

void run_shape(nsameta_context* context, cudaStream_t stream, const shape& s, double bytes_per_us, double empty_us) {
  step c(s);
  nsameta_plan* plan = nullptr;
  require(nsameta_plan_create(context, NSAMETA_OP_BUILD_METADATA, &c.args, &plan) == NSAMETA_OK, "plan");
  const launch_fn bounded = [&](cudaStream_t on) {
    require(nsameta_plan_run(plan, -1, -1, s.context + s.width, on) == NSAMETA_OK, "plan_run");
  };
  const launch_fn unbounded = [&](cudaStream_t on) {
    require(nsameta_plan_run(plan, -1, -1, -1, on) == NSAMETA_OK, "plan_run");
  };
  require(cudaDeviceSynchronize() == cudaSuccess, "preparation");  // which ran on another stream
  bounded(stream);
  require(cudaStreamSynchronize(stream) == cudaSuccess, "first run");
  const int64_t wrong = c.verify();
  const double floor = std::max(c.bytes() / bytes_per_us, empty_us);
  std::printf("%-26s %8.2f %10.2f %10.2f %8.2f %8.2f %s\n", s.name, graph_us(stream, bounded),
              graph_us(stream, unbounded), call_us(stream, bounded), c.bytes() / 1e6, floor,
              wrong == 0 ? "ok" : "WRONG");
  nsameta_plan_destroy(plan);
}

}  // namespace

int main(int argc, char** argv) {
  const char* filter = argc > 1 ? argv[1] : "";
  nsameta_context* context = nullptr;
  require(nsameta_context_create({NSAMETA_DEVICE_CUDA, 0}, "cuda", &context) == NSAMETA_OK, "context");
  cudaStream_t stream = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  cudaDeviceProp properties;
  cudaGetDeviceProperties(&properties, 0);
  const launch_fn empty = [](cudaStream_t on) { nsameta::bench::empty_kernel<<<1, 128, 0, on>>>(); };
  const double empty_us = graph_us(stream, empty);
  const double bytes_per_us = copy_bandwidth(stream);
  std::printf("%s: copy %.2f TB/s, empty kernel in a graph %.2f us\n", properties.name, bytes_per_us / 1e6, empty_us);
  std::printf("%-26s %8s %10s %10s %8s %8s\n", "shape", "graph us", "no bound", "call us", "MB", "floor us");
  for (const shape& s : kShapes) {
    if (std::strstr(s.name, filter) != nullptr) run_shape(context, stream, s, bytes_per_us, empty_us);
  }
  nsameta_context_destroy(context);
  return 0;
}
