#include "dispatch/recent_calls.h"

#include <cstring>

#include "dispatch/plan.h"

namespace nsameta::dispatch {
namespace {

// Tells apart the calls of an engine, in its upper bits: by batch, by mode, by the buffers of a step.
std::uint64_t hash_of(const nsameta_build_metadata_args& args) {
  const auto address = [](const nsameta_tensor& tensor) { return reinterpret_cast<std::uint64_t>(tensor.data) >> 8; };
  std::uint64_t mixed = static_cast<std::uint32_t>(args.batch) * 8ULL + static_cast<std::uint32_t>(args.mode);
  for (const nsameta_tensor* each : {&args.seq_lens, &args.out.nsa_cache_seqlens, &args.out.real_page_table}) {
    mixed = mixed * 31 + address(*each);
  }
  return mixed * 0x9E3779B97F4A7C15ULL;
}

class use {
 public:
  explicit use(std::atomic_flag& flag) : flag_(flag), is_mine_(!flag.test_and_set(std::memory_order_acquire)) {}
  use(const use&) = delete;
  use& operator=(const use&) = delete;
  ~use() {
    if (is_mine_) flag_.clear(std::memory_order_release);
  }
  bool is_mine() const { return is_mine_; }

 private:
  std::atomic_flag& flag_;
  const bool is_mine_;
};

}  // namespace

bool recent_calls::can_keep(const nsameta_context& context, const nsameta_build_metadata_args* args) {
  return !context.is_staged() && context.backend->prepare_build_metadata != nullptr && args != nullptr &&
         args->struct_size == sizeof(*args) && args->num_more_outputs == 0;
}

nsameta_status recent_calls::prepare(const nsameta_context& context, const nsameta_build_metadata_args& args,
                                     call* into) {
  into->is_known = false;
  nsameta_build_metadata_desc desc;
  if (const auto status = build_metadata::check(&args, context.device, &desc); status != NSAMETA_OK) return status;
  const auto status = context.backend->prepare_build_metadata(context.state, &desc, &into->prepared);
  if (status != NSAMETA_OK) return from_backend(*context.backend, status);
  into->args = args;
  into->num_tunings = context.num_tunings;
  into->is_known = true;
  return NSAMETA_OK;
}

recent_calls::call& recent_calls::find(std::uint64_t hash) {
  call* const set = &calls_[(hash >> (64 - kSetBits)) * kOfSet];
  for (std::size_t i = 0; i < kOfSet; ++i) {
    if (set[i].hash.load(std::memory_order_relaxed) == hash) return set[i];
  }
  return set[num_replaced_.fetch_add(1, std::memory_order_relaxed) % kOfSet];
}

nsameta_status recent_calls::run(const nsameta_context& context, const nsameta_build_metadata_args& args,
                                 void* stream) {
  const std::uint64_t hash = hash_of(args);
  call& here = find(hash);
  const use mine(here.in_use);
  if (!mine.is_mine()) return check_and_run<build_metadata_op>(context, &args, stream);
  const bool is_here =
      here.is_known && here.num_tunings == context.num_tunings && std::memcmp(&here.args, &args, sizeof(args)) == 0;
  if (!is_here) {
    if (const auto status = prepare(context, args, &here); status != NSAMETA_OK) return status;
    here.hash.store(hash, std::memory_order_relaxed);
  }
  const auto status = context.backend->launch_prepared(context.state, here.prepared, stream);
  if (status != NSAMETA_OK) return from_backend(*context.backend, status);
  context.count_launch();
  return NSAMETA_OK;
}

void recent_calls::release(const nsameta_backend& backend, void* state) {
  for (call& each : calls_) {
    if (each.prepared != nullptr) backend.release_prepared(state, each.prepared);
  }
}

}  // namespace nsameta::dispatch
