// A kernel for several sets of outputs, and for a batch whose true size is on the device. The grid's second extent
// counts the sets; each block puts the parameters of its own set into shared memory.
#pragma once

#include <cstdint>

#include "backends/simt/build_metadata_params.h"
#include "backends/simt/requests.h"

namespace nsameta::simt {

template <class Rt, class Kernel>
struct for_each_set {
  static constexpr int kBlock = Kernel::kBlock;
  using params = build_metadata_sets;
  struct smem {
    typename Kernel::smem of_kernel;
    build_metadata_params of_set;
  };

  template <class Part>
  static NSAMETA_DEVICE void copy(Part& to, const Part& from) {
    static_assert(sizeof(Part) % sizeof(std::int32_t) == 0);
    const auto* const words = reinterpret_cast<const std::int32_t*>(&from);
    auto* const target = reinterpret_cast<std::int32_t*>(&to);
    constexpr int kNumWords = sizeof(Part) / sizeof(std::int32_t);
    for (int i = Rt::thread_idx(); i < kNumWords; i += Rt::block_dim()) target[i] = words[i];
  }

  static NSAMETA_DEVICE void run(smem& s, const params& p) {
    copy<common_params>(s.of_set, p.common);
    copy<output_params>(s.of_set, p.sets[Rt::set_idx()]);
    Rt::sync_block();
    if (Rt::thread_idx() == 0 && p.common.num_requests != nullptr) {
      const std::int32_t given = *p.common.num_requests;
      s.of_set.batch = smaller(not_negative(given), p.common.batch);
      if (given != s.of_set.batch && Rt::block_idx() == 0) {
        report_fault<Rt>(s.of_set, NSAMETA_CHECK_NUM_REQUESTS, -1, given);
      }
    }
    Rt::sync_block();
    Kernel::run(s.of_kernel, s.of_set);
  }
};

}  // namespace nsameta::simt
