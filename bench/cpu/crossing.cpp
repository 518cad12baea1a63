// Where several threads begin to pay, and where stores past the cache do: min_parallel_bytes and min_stream_bytes of
// the policy. The backend is called directly, since only its own function takes a policy.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "backends/cpu/build_metadata.h"
#include "backends/cpu/settings.h"
#include "bench/cpu/benchmarks.h"

namespace nsameta::bench {
namespace {

constexpr int32_t kQuery = 64;

// The seed operation with `batch` requests of kQuery tokens.
class crossing_job {
 public:
  explicit crossing_job(int64_t batch)
      : seq_(static_cast<size_t>(batch), 100'000),
        extend_(seq_.size(), kQuery),
        visible_(seq_.size() * kQuery),
        kept_(visible_.size()) {
    desc_.seq_lens = {seq_.data(), 1, NSAMETA_INT32, 0};
    desc_.extend_seq_lens = {extend_.data(), 1, NSAMETA_INT32, 0};
    desc_.batch = static_cast<int32_t>(batch);
    desc_.query_source = NSAMETA_QUERY_RAGGED;
    desc_.topk = 2048;
    desc_.kpool = 1;
    desc_.num_tokens_bound = -1;
    desc_.num_sets = 1;
    desc_.sets[0].seqlens_expanded.data = visible_.data();
    desc_.sets[0].seqlens_expanded.capacity = static_cast<int64_t>(visible_.size());
    desc_.sets[0].nsa_cache_seqlens.data = kept_.data();
    desc_.sets[0].nsa_cache_seqlens.capacity = static_cast<int64_t>(kept_.size());
  }

  int64_t bytes() const { return static_cast<int64_t>((visible_.size() + kept_.size()) * sizeof(int32_t)); }
  void run(const cpu::policy& policy) const {
    uint64_t fault = 0;
    cpu::build_metadata(desc_, *cpu::process_settings().loops, policy, &fault);
  }
  bool is_right() const { return visible_.back() == 100'000 && kept_.back() == 2048; }

 private:
  nsameta_build_metadata_desc desc_{};
  std::vector<int32_t> seq_, extend_, visible_, kept_;
};

void add_crossing(int64_t batch, const std::string& name, const cpu::policy& policy) {
  const int64_t kib = batch * kQuery * 8 / 1024;
  benchmark::RegisterBenchmark(fmt::format("crossing/kib:{}/{}", kib, name).c_str(), [=](benchmark::State& state) {
    const crossing_job job(batch);
    for (auto _ : state) job.run(policy);
    if (!job.is_right()) return fail(state, "wrong lengths");
    state.SetBytesProcessed(job.bytes() * static_cast<int64_t>(state.iterations()));
  })->UseRealTime();
}

}  // namespace

void register_crossing() {
  for (int64_t batch = 256; batch <= 32'768; batch *= 2) {
    cpu::policy policy = cpu::default_policy();
    policy.min_parallel_bytes = INT64_MAX;
    add_crossing(batch, "one_thread", policy);
    policy.min_parallel_bytes = 0;
    add_crossing(batch, "all_threads", policy);
  }
  for (int64_t batch = 8192; batch <= 262'144; batch *= 2) {
    cpu::policy policy = cpu::default_policy();
    policy.min_stream_bytes = policy.stream_bytes_of_thread = INT64_MAX;
    add_crossing(batch, "cached", policy);
    policy.min_stream_bytes = 0;
    add_crossing(batch, "streamed", policy);
  }
}

}  // namespace nsameta::bench
