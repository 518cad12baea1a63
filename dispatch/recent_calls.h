// Launches of recent calls of build_metadata without a plan. Engines repeat theirs, step after step, with the same
// buffers: such a call finds its launch here, and nothing is checked or chosen again. On an H200's host, 2026-11-28, a
// call with 12 tensors is as fast as the run of a plan: 3.4 us instead of 4.3, an empty kernel takes 3.3.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/backend.h"

struct nsameta_context;

namespace nsameta::dispatch {

class recent_calls {
 public:
  recent_calls() = default;
  recent_calls(const recent_calls&) = delete;
  recent_calls& operator=(const recent_calls&) = delete;

  // Whether calls with such arguments can be kept: all that they say stands in the struct itself.
  static bool can_keep(const nsameta_context& context, const nsameta_build_metadata_args* args);
  // Like the operation itself, for arguments that can be kept. From several threads at once: of two that need the same
  // place, one goes the long way.
  [[nodiscard]] nsameta_status run(const nsameta_context& context, const nsameta_build_metadata_args& args,
                                   void* stream);
  // Before the backend's state goes.
  void release(const nsameta_backend& backend, void* state);

 private:
  struct call {
    std::atomic_flag in_use;
    std::atomic<std::uint64_t> hash{0};
    bool is_known = false;
    std::uint64_t num_tunings = 0;
    void* prepared = nullptr;
    nsameta_build_metadata_args args;
  };
  // 16 calls, as a step has modes and batch sizes, and some, in sets, so that few of them can be in each other's way.
  static constexpr int kSetBits = 2;
  static constexpr std::size_t kOfSet = 4;

  // Where a call with such a hash stands, or takes the place of another one.
  call& find(std::uint64_t hash);
  [[nodiscard]] static nsameta_status prepare(const nsameta_context& context, const nsameta_build_metadata_args& args,
                                              call* into);

  std::array<call, kOfSet << kSetBits> calls_{};
  std::atomic<std::uint32_t> num_replaced_{0};
};

}  // namespace nsameta::dispatch
