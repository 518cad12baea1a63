// Who does what in the large kernel: the blocks that write lengths and tables, without those for schedule and plan, and
// their warps and threads.
#pragma once

#include <cstdint>

#include "backends/simt/build_metadata_params.h"

namespace nsameta::simt {

// kTables: blocks for schedule and plan come first.
template <class Rt, bool kTables>
struct large_work {
  using params = build_metadata_params;

  static NSAMETA_DEVICE std::int32_t block(const params& p) {
    return Rt::block_idx() - (kTables ? p.first_length_block : 0);
  }
  static NSAMETA_DEVICE std::int32_t num_blocks(const params& p) {
    return static_cast<std::int32_t>(p.work_blocks.divisor);
  }
  static NSAMETA_DEVICE std::int32_t thread(const params& p) { return block(p) * Rt::block_dim() + Rt::thread_idx(); }
  static NSAMETA_DEVICE std::int32_t num_threads(const params& p) { return num_blocks(p) * Rt::block_dim(); }
  static NSAMETA_DEVICE std::int32_t num_warps_of_block() { return Rt::block_dim() / Rt::kWarp; }
  static NSAMETA_DEVICE std::int32_t num_warps(const params& p) { return num_blocks(p) * num_warps_of_block(); }
  // Backwards: the last ones are those without tokens, if there are any.
  static NSAMETA_DEVICE std::int32_t warp_from_last(const params& p) {
    return num_warps(p) - 1 - (block(p) * num_warps_of_block() + Rt::warp());
  }
};

}  // namespace nsameta::simt
