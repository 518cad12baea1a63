// How a launch for lengths alone is shaped, and how the large kernel is, whatever it writes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/simt/build_metadata_policy.h"

namespace nsameta::simt {

// Any batch and any number of tokens: `tokens` of them, or 0 where no output is per token.
template <class Rules>
build_metadata_policy choose_large_policy(const Rules& rules, std::int32_t batch, std::int64_t tokens, int warp_width,
                                          int num_multiprocessors) {
  build_metadata_policy policy{};
  const std::int64_t unit = warp_width * kLaneRequests;
  policy.chunk_bits = bits_for(std::max(unit, ceil_div(batch, kMaxChunks)));
  const std::int64_t work = std::max<std::int64_t>(tokens, batch);
  const std::int64_t tiles = ceil_div(work, kLaneRequests * warp_width);
  // Few tiles and chunks: fewer warps, so that what each warp does before its first tile is done less often.
  const std::int64_t tiles_of_multiprocessor = ceil_div(tiles, num_multiprocessors);
  const int most_warps = max_large_block(warp_width) / warp_width;
  const auto choose_warps = [&](const char* what, std::int64_t count, tunable up_to_8, tunable up_to_16) {
    return rules.at_most(what, count, up_to_8) ? 8 : rules.at_most(what, count, up_to_16) ? 16 : 32;
  };
  const int wanted = std::max(choose_warps("tiles_per_sm", tiles_of_multiprocessor, tunable::large_tiles_of_8_warps,
                                           tunable::large_tiles_of_16_warps),
                              choose_warps("pieces", ceil_div(batch, unit), tunable::large_pieces_of_8_warps,
                                           tunable::large_pieces_of_16_warps));
  policy.block_threads = std::min(wanted, most_warps) * warp_width;
  policy.num_blocks = static_cast<std::int32_t>(std::clamp<std::int64_t>(tiles, 1, num_multiprocessors));
  return policy;
}

// Neighbouring blocks of a large batch share what they sum up.
template <class Rules>
void add_clusters(const Rules& rules, build_metadata_policy& policy, std::int32_t batch) {
  constexpr std::int32_t kClusterSize = 2;  // the most of which all multiprocessors of a GPU find a place
  if (!rules.at_least("batch", batch, tunable::large_requests_of_clusters)) return;
  if (policy.num_blocks < kClusterSize) return;
  policy.cluster_size = kClusterSize;
  policy.num_blocks -= policy.num_blocks % kClusterSize;
}

// has_clusters: blocks can reach each other's shared memory.
template <class Rules>
build_metadata_policy choose_length_policy(const Rules& rules, const nsameta_build_metadata_desc& desc,
                                           const build_metadata_params& p, bool has_clusters, int warp_width,
                                           int num_multiprocessors) {
  const std::int64_t tokens = max_tokens(desc, p);
  build_metadata_policy policy{};
  policy.is_seed_only = is_seed_only(p);
  policy.is_small = rules.at_most("batch", p.batch, tunable::small_requests) &&
                    rules.holds("capacities_fit", p.max_token_capacity <= kMaxSmallQuery) &&
                    rules.at_most("tokens", tokens, tunable::small_tokens_per_sm, num_multiprocessors);
  if (policy.is_small) {
    while (p.batch > warp_width << policy.group_bits) ++policy.group_bits;
    const std::int64_t groups = std::int64_t{1} << policy.group_bits;
    // As many as an average request has tokens, so that short requests take one step, and twice that where the warps of
    // several groups share a multiprocessor; more where whole warps write.
    const std::int64_t of_short = std::min(rules[tunable::small_slices], ceil_div(tokens, std::max(p.batch, 1)));
    const std::int64_t of_request = groups > 1 ? 2 * of_short : of_short;
    const int parts = wants_keys(p) ? 3 : 1;
    const std::int64_t most = rules[tunable::small_warps_per_sm] * num_multiprocessors / (groups * parts);
    const std::int64_t of_group = std::min(ceil_div(tokens, groups * warp_width), most);
    const std::int64_t slices = std::max<std::int64_t>({of_request, of_group, 1});
    policy.num_slices = static_cast<std::int32_t>(p.max_token_capacity > 0 ? slices : 0);
    const int roles = policy.is_seed_only ? 1 : kNumRoles;
    policy.block_threads = warp_width << policy.group_bits;
    policy.num_blocks = policy.num_slices * parts + roles;
    return policy;
  }
  const bool is_seed_only = policy.is_seed_only;
  policy = choose_large_policy(rules, p.batch, p.max_token_capacity > 0 ? tokens : 0, warp_width, num_multiprocessors);
  policy.is_seed_only = is_seed_only;
  const bool has_sums = desc.query_source == NSAMETA_QUERY_RAGGED || wants_keys(p);
  if (rules.holds("clusters", has_clusters && has_sums)) add_clusters(rules, policy, p.batch);
  return policy;
}

}  // namespace nsameta::simt
