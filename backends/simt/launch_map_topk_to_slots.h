// Host side of map_topk_to_slots, the same for every vendor: picks the kernel and its grid.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/simt/explaining_launcher.h"
#include "backends/simt/gpu_state.h"
#include "backends/simt/map_topk_to_slots.h"

namespace nsameta::simt {

template <class Rt, int kWide, bool kTable, class Launcher>
auto launch_map_topk_to_slots_as(const map_topk_to_slots_params& params, int num_multiprocessors, Launcher launch) {
  using kernel = map_topk_to_slots<Rt, kWide, kTable>;
  constexpr int kMaxBlocks = 1 << 20;  // on some devices a dimension of the grid ends at 2^32 threads
  const nsameta_map_topk_to_slots_desc& desc = params.desc;
  // Few tokens: as many threads for each as there can be. Many: two steps a thread, so that the search for a row is
  // spread over more indices.
  const int most_threads = desc.num_tokens <= 2 * num_multiprocessors ? kernel::kBlock : kernel::kBlock / 2;
  const int steps = std::min((desc.num_topk - 1) / kWide + 1, most_threads);
  const int block_threads = (steps + Rt::kWarp - 1) / Rt::kWarp * Rt::kWarp;
  return launch.template operator()<kernel>(std::min(desc.num_tokens, kMaxBlocks), block_threads, params);
}

// Whether every row begins at a 16-byte boundary.
inline bool has_aligned_rows(const std::int32_t* data, std::int64_t row_stride, std::int32_t num_rows) {
  return reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && (num_rows <= 1 || row_stride % 4 == 0);
}

// There is at least one index. launch: a functor template <class Kernel>(num_blocks, block_threads, params) that
// returns the vendor's error code.
template <class Rt, class Launcher>
auto launch_map_topk_to_slots(const nsameta_map_topk_to_slots_desc& desc, std::uint64_t* fault_word,
                              int num_multiprocessors, Launcher launch) {
  const map_topk_to_slots_params params{desc, fault_word};
  const bool is_wide = desc.num_topk % 4 == 0 &&
                       has_aligned_rows(desc.topk_indices, desc.topk_row_stride, desc.num_tokens) &&
                       has_aligned_rows(desc.slots, desc.slots_row_stride, desc.num_tokens);
  if (desc.source == NSAMETA_SLOTS_ARE_INDICES) {
    return is_wide ? launch_map_topk_to_slots_as<Rt, 4, false>(params, num_multiprocessors, launch)
                   : launch_map_topk_to_slots_as<Rt, 1, false>(params, num_multiprocessors, launch);
  }
  return is_wide ? launch_map_topk_to_slots_as<Rt, 4, true>(params, num_multiprocessors, launch)
                 : launch_map_topk_to_slots_as<Rt, 1, true>(params, num_multiprocessors, launch);
}

template <class Rt>
void explain_launch(Rt, const nsameta_map_topk_to_slots_desc& desc, const gpu_state& state, text_writer* text) {
  if (desc.num_tokens == 0 || desc.num_topk == 0) return text->line("kernel: none");
  launch_map_topk_to_slots<Rt>(desc, state.fault_word, state.num_multiprocessors, explaining_launcher{text});
}

}  // namespace nsameta::simt
