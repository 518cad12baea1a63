// Speed of build_metadata on the CPU: the backend by itself, and through the library. Prints medians with the range
// seen.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "backends/cpu/backend.h"
#include "backends/cpu/build_metadata.h"
#include "bench/cpu_tables.h"
#include "bench/cpu_timing.h"
#include "nsameta/nsameta.hpp"

namespace {

using nsameta::bench::allocate;
using nsameta::bench::buffer;
using nsameta::bench::fill_past_cache;
using nsameta::bench::nanoseconds;
using nsameta::bench::seconds;
using nsameta::bench::summarise;
using nsameta::bench::summary;
using nsameta::cpu::policy;

// The seed operation: draft-extend into seqlens_expanded and nsa_cache_seqlens, or decode when width is 1.
class seed_job {
 public:
  explicit seed_job(std::vector<int32_t> extend, int32_t constant_width = 0) : extend_(std::move(extend)) {
    for (const int32_t q : extend_) num_tokens += q;
    for (size_t r = 0; r < extend_.size(); ++r) seq_.push_back(extend_[r] + static_cast<int32_t>(r * 7919 % 4096));
    visible_ = allocate(num_tokens);
    kept_ = allocate(num_tokens);
    desc.seq_lens = {seq_.data(), 1, NSAMETA_INT32, 0};
    desc.extend_seq_lens = {extend_.data(), 1, NSAMETA_INT32, 0};
    desc.batch = static_cast<int32_t>(extend_.size());
    desc.query_source = constant_width > 0 ? NSAMETA_QUERY_CONSTANT : NSAMETA_QUERY_RAGGED;
    desc.query_width = constant_width;
    desc.topk = 2048;
    desc.kpool = 1;
    desc.num_tokens_bound = -1;
    desc.num_sets = 1;
    desc.sets[0].seqlens_expanded.data = visible_.get();
    desc.sets[0].seqlens_expanded.capacity = num_tokens;
    desc.sets[0].nsa_cache_seqlens.data = kept_.get();
    desc.sets[0].nsa_cache_seqlens.capacity = num_tokens;
  }
  double bytes() const { return 2.0 * 4.0 * static_cast<double>(num_tokens); }
  void run(const policy& policy) const {
    uint64_t fault = 0;
    nsameta::cpu::build_metadata(desc, policy, &fault);
  }

  // The same job as a caller of the library states it.
  nsameta::build_metadata_args args() {
    nsameta::build_metadata_args args;
    args.mode = NSAMETA_MODE_DRAFT_EXTEND;
    args.topk = desc.topk;
    args.clamp = NSAMETA_CLAMP_OFF;
    args.seq_lens = nsameta::make_tensor(seq_.data(), seq_.size(), nsameta::kCpuDevice);
    args.extend_seq_lens = nsameta::make_tensor(extend_.data(), extend_.size(), nsameta::kCpuDevice);
    args.out.seqlens_expanded =
        nsameta::make_tensor(visible_.get(), static_cast<size_t>(num_tokens), nsameta::kCpuDevice);
    args.out.nsa_cache_seqlens =
        nsameta::make_tensor(kept_.get(), static_cast<size_t>(num_tokens), nsameta::kCpuDevice);
    return args;
  }

  nsameta_build_metadata_desc desc{};
  int64_t num_tokens = 0;

 private:
  std::vector<int32_t> seq_;
  std::vector<int32_t> extend_;
  buffer visible_;
  buffer kept_;
};

policy serial_policy() {
  policy p = nsameta::cpu::default_policy();
  p.min_parallel_bytes = INT64_MAX;
  return p;
}

policy parallel_policy() {
  policy p = nsameta::cpu::default_policy();
  p.min_parallel_bytes = 0;
  return p;
}

void small_batches() {
  void* state = nullptr;
  uint64_t* fault_word = nullptr;
  const nsameta_backend* backend = nsameta_cpu_backend();
  if (backend->create(0, &state, &fault_word) != NSAMETA_OK) return;
  std::printf("small batches, ns a call through the backend table, median (min .. max)\n");
  for (const int32_t width : {4, 1}) {
    for (const size_t batch : {1U, 8U, 32U, 256U}) {
      const seed_job job(std::vector<int32_t>(batch, width), width == 1 ? 1 : 0);
      const auto call = [&] {
        if (backend->build_metadata(state, &job.desc, nullptr) != NSAMETA_OK) std::abort();
      };
      const summary ns = nanoseconds(call);
      std::printf("  batch %4zu x %d %-12s %8.1f (%.1f .. %.1f)\n", batch, width, width == 1 ? "constant" : "ragged",
                  ns.median, ns.min, ns.max);
    }
  }
  backend->destroy(state);
}

// What a caller in C pays, the checks included.
void from_c() {
  std::printf("from C, 32 x 4 ragged, ns a call, median (min .. max)\n");
  const nsameta::context context(nsameta::kCpuDevice, "cpu");
  seed_job job(std::vector<int32_t>(32, 4));
  const auto args = job.args();
  nsameta_plan* plan = nullptr;
  if (nsameta_plan_create(context.get(), NSAMETA_OP_BUILD_METADATA, &args, &plan) != NSAMETA_OK) std::abort();
  const auto print = [](const char* name, const summary& ns) {
    std::printf("  %-24s %8.1f (%.1f .. %.1f)\n", name, ns.median, ns.min, ns.max);
  };
  print("nsameta_plan_run", nanoseconds([&] {
          if (nsameta_plan_run(plan, -1, -1, -1, nullptr) != NSAMETA_OK) std::abort();
        }));
  print("nsameta_build_metadata", nanoseconds([&] {
          if (nsameta_build_metadata(context.get(), &args, nullptr) != NSAMETA_OK) std::abort();
        }));
  nsameta_plan_destroy(plan);
}

void crossing_point() {
  std::printf("serial against parallel, us a call, 64 tokens a request (min_parallel_bytes is %lld)\n",
              static_cast<long long>(nsameta::cpu::default_policy().min_parallel_bytes));
  const policy alone = serial_policy(), shared = parallel_policy();
  for (size_t batch = 64; batch <= 32768; batch *= 2) {
    const seed_job job(std::vector<int32_t>(batch, 64));
    const summary serial = nanoseconds([&] { job.run(alone); });
    const summary parallel = nanoseconds([&] { job.run(shared); });
    std::printf("  %9.0f KiB: serial %9.1f (%.1f ..), parallel %9.1f (%.1f ..)\n", job.bytes() / 1024,
                serial.median / 1e3, serial.min / 1e3, parallel.median / 1e3, parallel.min / 1e3);
  }
}

void bandwidth() {
  const seed_job job(std::vector<int32_t>(65536, 256));
  const buffer target = allocate(2 * job.num_tokens);
  const policy policy = nsameta::cpu::default_policy();
  std::vector<double> fill, build, share;
  for (int i = 0; i < 34; ++i) {
    const double fill_seconds = seconds([&] { fill_past_cache(target.get(), 2 * job.num_tokens); });
    const double build_seconds = seconds([&] { job.run(policy); });
    if (i < 3) continue;  // pages are touched for the first time
    fill.push_back(job.bytes() / fill_seconds / 1e9);
    build.push_back(job.bytes() / build_seconds / 1e9);
    share.push_back(100 * fill_seconds / build_seconds);
  }
  const summary f = summarise(fill), b = summarise(build), s = summarise(share);
  std::printf("65536 requests x 256 tokens, GB/s, alternating\n");
  std::printf("  non-temporal fill %6.2f (%.2f .. %.2f)\n", f.median, f.min, f.max);
  std::printf("  build_metadata    %6.2f (%.2f .. %.2f), share of the fill beside it %.1f %% (%.1f .. %.1f)\n",
              b.median, b.min, b.max, s.median, s.min, s.max);
}

void skew() {
  std::vector<int32_t> extend(60001, 1);
  extend[20000] = 1 << 20;
  const seed_job job(std::move(extend));
  const policy alone = serial_policy(), shared = parallel_policy();
  const summary serial = nanoseconds([&] { job.run(alone); });
  const summary parallel = nanoseconds([&] { job.run(shared); });
  std::printf(
      "one request of 1M tokens beside 60,000 of 1: serial %.1f us (%.1f .. %.1f), parallel %.1f us (%.1f .. %.1f)\n",
      serial.median / 1e3, serial.min / 1e3, serial.max / 1e3, parallel.median / 1e3, parallel.min / 1e3,
      parallel.max / 1e3);
}

}  // namespace

int main() {
  std::printf("%d threads; %s\n", tbb::this_task_arena::max_concurrency(),
              to_string(nsameta::cpu::default_policy()).c_str());
  small_batches();
  from_c();
  crossing_point();
  bandwidth();
  skew();
  nsameta::bench::tables();
  return 0;
}
