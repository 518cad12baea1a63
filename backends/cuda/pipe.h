// The copy engine of sm_90 and later: copies of its own from global memory to shared memory, and on to global memory.
#pragma once

#include <cstdint>

#include "backends/cuda/device.h"

namespace nsameta::cuda {

// Shared memory in stages, each of which holds one piece; addresses and sizes are multiples of 16 bytes. All calls but
// init() come from one thread. Stages of 8 KB: verify (64, 128K) 34.5 -> 32.8 us against 6 of 32 KB (H200, 2026-11-27).
struct pipe {
  static constexpr int kStages = 24;
  static constexpr int kBytes = 8192;
  static constexpr int kSharedBytes = 227 << 10;  // what a block may have on sm_90 and sm_100
  struct smem {
    alignas(128) std::int32_t data[kStages][kBytes / 4];
    std::uint64_t loaded[kStages];
  };

  static NSAMETA_DEVICE std::uint32_t address_of(const void* shared) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
  }

  // By one thread, before a barrier of the block.
  static NSAMETA_DEVICE void init(smem& s) {
#if NSAMETA_IS_SM90
    for (int i = 0; i < kStages; ++i) {
      asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(address_of(&s.loaded[i])) : "memory");
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
  }
  static NSAMETA_DEVICE void load(smem& s, int stage, const std::int32_t* from, std::int32_t bytes) {
#if NSAMETA_IS_SM90
    const std::uint32_t barrier = address_of(&s.loaded[stage]);
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     address_of(s.data[stage])),
                 "l"(from), "r"(bytes), "r"(barrier)
                 : "memory");
#endif
  }
  static NSAMETA_DEVICE void wait_loaded(smem& s, int stage, unsigned parity) {
#if NSAMETA_IS_SM90
    asm volatile(
        "{\n\t"
        ".reg .pred done;\n\t"
        "again:\n\t"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n\t"
        "@!done bra again;\n\t"
        "}" ::"r"(address_of(&s.loaded[stage])),
        "r"(parity)
        : "memory");
#endif
  }
  // The rows that are written are not read soon: they shall not drive out what is.
  static NSAMETA_DEVICE void store(smem& s, int stage, std::int32_t* to, std::int32_t bytes) {
#if NSAMETA_IS_SM90
    std::uint64_t policy;
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group.L2::cache_hint [%0], [%1], %2, %3;" ::"l"(to),
                 "r"(address_of(s.data[stage])), "r"(bytes), "l"(policy)
                 : "memory");
#endif
  }
  static NSAMETA_DEVICE void commit(smem&) {
#if NSAMETA_IS_SM90
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
#endif
  }
  // All but the last kNumGroups groups of stores have read their stage.
  template <int kNumGroups>
  static NSAMETA_DEVICE void wait_read(smem&) {
#if NSAMETA_IS_SM90
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(kNumGroups) : "memory");
#endif
  }
  static NSAMETA_DEVICE void wait_all(smem&) {
#if NSAMETA_IS_SM90
    asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
#endif
  }
};

}  // namespace nsameta::cuda
