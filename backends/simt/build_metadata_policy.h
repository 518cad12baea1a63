// How a launch of build_metadata is shaped, by batch and by how many tokens there can be.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/simt/build_metadata_params.h"

namespace nsameta::simt {

// H200, 2026-11-22, all by graph replay: see docs/BENCHMARKS.md for the figures behind these choices.
inline constexpr int kMaxLargeBlock = 1024;
inline constexpr int kMaxGroupRequests = 256;  // small kernel: requests of the whole batch
inline constexpr int kSegmentItems = 2;        // large kernel: requests of a lane
inline constexpr int kMaxChunks = 512;         // large kernel: prefix sums in shared memory
inline constexpr int kNumRoles = 3;            // small kernel: warps of a group that write per-request outputs

// Longest query that the small kernel tells from longer ones: 256 of them still add up below 2^31.
inline constexpr std::int32_t kMaxSmallQuery = INT32_MAX / kMaxGroupRequests;

struct build_metadata_policy {
  bool is_small;
  bool is_seed_only;
  std::int32_t num_blocks;
  std::int32_t block_threads;
  std::int32_t num_slices;          // small
  std::int32_t group_bits;          // small
  std::int32_t requests_per_chunk;  // large
};

// Tokens that a launch may have to write, as far as the host knows; tails are not counted.
inline std::int64_t max_tokens(const nsameta_build_metadata_desc& desc, const build_metadata_params& p) {
  std::int64_t tokens = p.max_token_capacity;
  if (desc.query_source == NSAMETA_QUERY_CONSTANT) {
    tokens = std::min<std::int64_t>(tokens, std::int64_t{desc.batch} * desc.query_width);
  }
  return desc.num_tokens_bound >= 0 ? std::min(tokens, desc.num_tokens_bound) : tokens;
}

inline build_metadata_policy choose_policy(const nsameta_build_metadata_desc& desc, const build_metadata_params& p,
                                           int warp_width, int num_multiprocessors) {
  const std::int64_t tokens = max_tokens(desc, p);
  build_metadata_policy policy{};
  policy.is_seed_only = is_seed_only(p);
  // Up to 8 tokens a thread; from there wide stores pay for the second barrier.
  policy.is_small = p.batch <= kMaxGroupRequests && p.max_token_capacity <= kMaxSmallQuery &&
                    tokens <= std::int64_t{num_multiprocessors} * 1024;
  if (policy.is_small) {
    while (p.batch > warp_width << policy.group_bits) ++policy.group_bits;
    const std::int64_t groups = std::int64_t{1} << policy.group_bits;
    // As many as an average request has tokens, so that short requests take one step; more where whole warps write.
    const std::int64_t of_request = std::min<std::int64_t>(16, ceil_div(tokens, std::max(p.batch, 1)));
    const int parts = wants_keys(p) ? 3 : 1;
    const std::int64_t most = 2 * num_multiprocessors / (groups * parts);
    const std::int64_t of_group = std::min(ceil_div(tokens, groups * warp_width), most);
    const std::int64_t slices = std::max<std::int64_t>({of_request, of_group, 1});
    policy.num_slices = static_cast<std::int32_t>(p.max_token_capacity > 0 ? slices : 0);
    const int roles = policy.is_seed_only ? 1 : kNumRoles;
    policy.block_threads = warp_width;
    policy.num_blocks = static_cast<std::int32_t>(groups * (policy.num_slices * parts + roles));
    return policy;
  }
  const std::int64_t unit = warp_width * kSegmentItems;
  policy.requests_per_chunk =
      static_cast<std::int32_t>(unit * std::max<std::int64_t>(1, ceil_div(ceil_div(p.batch, unit), kMaxChunks)));
  const std::int64_t work = std::max<std::int64_t>(p.max_token_capacity > 0 ? tokens : 0, p.batch);
  const std::int64_t tiles = ceil_div(work, 4 * warp_width);
  // Few tiles: fewer warps, so that what each warp does before its first tile is done less often. H200, 2026-11-22,
  // seed op: 7.3 -> 5.6 us at 1,024 requests with 8 warps, 7.5 -> 7.3 at 4,096 with 16.
  const std::int64_t tiles_of_multiprocessor = ceil_div(tiles, num_multiprocessors);
  const int most_warps = kMaxLargeBlock / warp_width;
  const std::int64_t warps =
      tiles_of_multiprocessor <= 16 ? 8 : std::min(most_warps, tiles_of_multiprocessor <= 64 ? 16 : 32);
  policy.block_threads = static_cast<std::int32_t>(warps * warp_width);
  policy.num_blocks =
      static_cast<std::int32_t>(std::clamp<std::int64_t>(ceil_div(tiles, warps), 1, num_multiprocessors));
  return policy;
}

}  // namespace nsameta::simt
