// How a launch of build_metadata is shaped, by batch and by how many tokens there can be. The thresholds are those of
// tunables.def; a Rules (rules.h) knows their values, and may tell what was compared.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>

#include "backends/simt/build_metadata_params.h"
#include "backends/simt/rules.h"

namespace nsameta::simt {

// H200, 2026-11-22, all by graph replay: see docs/BENCHMARKS.md for the figures behind these choices.
inline constexpr int kMaxGroupRequests = 256;  // small kernel: requests of the whole batch
inline constexpr int kLaneRequests = 4;        // large kernel: requests that a lane reads at a time
inline constexpr int kMaxChunks = 256;         // large kernel: sums in shared memory
inline constexpr int kNumRoles = 3;            // small kernel: warps of a group that write per-request outputs

// Longest query that the small kernel tells from longer ones: 256 of them still add up below 2^31.
inline constexpr std::int32_t kMaxSmallQuery = INT32_MAX / kMaxGroupRequests;

// Large kernel: threads of a block. With 1024 lanes in waves of 64 each has 128 vector registers, of which gfx90a and
// gfx942 would spill 80 into scratch memory; no AMD GPU was there to measure on.
constexpr int max_large_block(int warp_width) { return warp_width == 64 ? 512 : 1024; }

// Step kernel: requests of the whole batch, and threads of a block.
inline constexpr int kMaxStepRequests = 256;
inline constexpr int kMaxStepBlock = 256;
inline constexpr int kNumLengthRoles = 4;  // warps of a request
inline constexpr int kNumSumBlocks = 2;    // plain steps
static_assert(describe(tunable::small_requests).most <= kMaxGroupRequests);
static_assert(describe(tunable::step_requests).most <= kMaxStepRequests);
static_assert(describe(tunable::page_threads).most <= kMaxStepBlock);
// A schedule block has a thread for each request.
static_assert(describe(tunable::short_requests).most <= kMaxStepBlock / 2);

struct build_metadata_policy {
  bool is_small;
  bool is_step;
  bool is_plain;  // a step that build_metadata_plain takes
  bool is_bulk;   // its long rows by bulk copies
  bool is_seed_only;
  std::int32_t num_blocks;
  std::int32_t block_threads;
  std::int32_t num_slices;        // small
  std::int32_t group_bits;        // small
  std::int32_t chunk_bits;        // large
  std::int32_t cluster_size = 1;  // large
  // Step, and large with tables; see common_params.
  std::int32_t first_plan_block;
  std::int32_t first_length_block;
  std::int32_t first_copy_block;
  std::int32_t slice_bits;
  std::int32_t thread_bits;
};

// Tokens that a launch may have to write, as far as the host knows; tails are not counted.
inline std::int64_t max_tokens(const nsameta_build_metadata_desc& desc, const build_metadata_params& p) {
  std::int64_t tokens = p.max_token_capacity;
  if (desc.query_source == NSAMETA_QUERY_CONSTANT) {
    tokens = std::min<std::int64_t>(tokens, std::int64_t{desc.batch} * desc.query_width);
  }
  return desc.num_tokens_bound >= 0 ? std::min(tokens, desc.num_tokens_bound) : tokens;
}

// The least k with 1 << k at least `count`.
constexpr std::int32_t bits_for(std::int64_t count) {
  return count <= 1 ? 0 : static_cast<std::int32_t>(std::bit_width(static_cast<std::uint64_t>(count - 1)));
}

// What the sets of a launch have in common, for choosing its shape.
struct launch_size {
  std::int64_t tokens;          // that may have to be written
  std::int64_t token_capacity;  // how far tails may reach
  std::int64_t token_rows;      // of the longest table with a row per token
  std::int64_t columns;         // of a request's row of req_to_token that may be read
  std::int64_t pieces;          // into which the widest table divides such a row: 4 slots, or a page
  std::int32_t max_sms;         // 0: no schedule
  bool has_plan;
  bool has_copies;
};

inline launch_size measure(const nsameta_build_metadata_desc& desc, std::span<const output_params> sets) {
  launch_size size{};
  const auto grow = [](std::int64_t& value, std::int64_t other) { value = std::max(value, other); };
  for (const output_params& p : sets) {
    grow(size.token_capacity, p.max_token_capacity);
    if (p.schedule != nullptr) size.max_sms = std::max(size.max_sms, static_cast<std::int32_t>(p.num_sms.divisor));
    size.has_plan = size.has_plan || p.plan != nullptr;
    size.has_copies =
        size.has_copies || p.slots_table.data != nullptr || p.page_table.data != nullptr || p.flattened != nullptr;
    if (desc.tables_by_token != 0) grow(size.token_rows, std::max(p.slots_table.num_rows, p.page_table.num_rows));
    if (p.slots_table.data != nullptr) grow(size.columns, p.slots_table.num_columns);
    if (p.page_table.data != nullptr) grow(size.columns, std::int64_t{p.page_table.num_columns} << desc.page_shift);
    if (p.flattened != nullptr) grow(size.columns, desc.req_to_token.num_columns);
  }
  if (desc.max_kv_bound >= 0 && desc.table_width != NSAMETA_TABLE_FULL) {
    size.columns = std::min(size.columns, ceil_div(std::min<std::int64_t>(desc.max_kv_bound, INT32_MAX), 128) * 128);
  }
  for (const output_params& p : sets) {
    const bool has_slots = p.slots_table.data != nullptr || p.flattened != nullptr;
    grow(size.pieces,
         has_slots ? ceil_div(size.columns, 4) : ceil_div(size.columns, std::int64_t{1} << desc.page_shift));
  }
  size.tokens = size.token_capacity;
  if (desc.query_source == NSAMETA_QUERY_CONSTANT) {
    size.tokens = std::min<std::int64_t>(size.tokens, std::int64_t{desc.batch} * desc.query_width);
  }
  if (desc.num_tokens_bound >= 0) size.tokens = std::min(size.tokens, desc.num_tokens_bound);
  return size;
}

// Into how many parts, a power of two, a request's row is divided: enough for `parts`, within `most` for all requests.
template <class Rules>
std::int32_t choose_slice_bits(const Rules& rules, std::int64_t parts, std::int64_t most, std::int32_t batch) {
  std::int32_t bits = bits_for(std::min(parts, rules[tunable::slices_of_row]));
  while (bits > 0 && (std::int64_t{batch} << bits) > most) --bits;
  return bits;
}

// Step: blocks of `threads` with what comes before the length blocks.
inline build_metadata_policy begin_step_policy(const launch_size& size, std::int32_t threads) {
  build_metadata_policy policy{};
  policy.is_step = true;
  policy.block_threads = threads;
  policy.first_plan_block = size.max_sms > 0 ? static_cast<std::int32_t>(ceil_div(size.max_sms + 1, threads)) : 0;
  policy.first_length_block = policy.first_plan_block + (size.has_plan ? 1 : 0);
  return policy;
}

// Whether the batch is small and its contexts are short.
template <class Rules>
bool is_short(const Rules& rules, const nsameta_build_metadata_desc& desc, const launch_size& size) {
  return rules.at_most("batch", desc.batch, tunable::short_requests) &&
         rules.at_most("columns", size.columns, tunable::short_columns);
}

template <class Rules>
build_metadata_policy choose_step_policy(const Rules& rules, const nsameta_build_metadata_desc& desc,
                                         const launch_size& size, int warp_width, int num_multiprocessors) {
  const std::int32_t batch = std::max(desc.batch, 1);
  const bool has_small_blocks = is_short(rules, desc, size);
  build_metadata_policy policy = begin_step_policy(size, has_small_blocks ? kMaxStepBlock / 2 : kMaxStepBlock);
  policy.group_bits = bits_for(ceil_div(std::int64_t{batch} * kNumLengthRoles, policy.block_threads / warp_width));
  const std::int64_t most_slices =
      std::max<std::int64_t>(rules[tunable::step_slices_per_sm] * num_multiprocessors >> policy.group_bits, 1);
  policy.num_slices = static_cast<std::int32_t>(
      std::clamp<std::int64_t>(ceil_div(size.tokens, std::int64_t{batch} * warp_width), 1, most_slices));
  policy.first_copy_block = policy.first_length_block + (policy.num_slices << policy.group_bits);
  // With a bound and several rows a request, each thread has a piece or two and is done; without one, idle blocks would
  // cost more than that saves, and with one row they have too little to do.
  const bool has_many_blocks = rules.holds("many_blocks", desc.max_kv_bound >= 0 && desc.tables_by_token != 0);
  const std::int64_t most_blocks =
      has_many_blocks ? rules[tunable::copy_blocks] : rules[tunable::copy_blocks_per_sm] * num_multiprocessors;
  const std::int64_t pieces_of_thread = has_small_blocks ? 1 : rules[tunable::pieces_of_thread];
  policy.slice_bits =
      choose_slice_bits(rules, ceil_div(size.pieces, pieces_of_thread * policy.block_threads), most_blocks, batch);
  policy.num_blocks = policy.first_copy_block + (size.has_copies ? desc.batch << policy.slice_bits : 0);
  return policy;
}

// Whether the copy engine shall move the rows of a plain step. It needs some pieces a block before it is ahead of
// stores from registers.
template <class Rules>
bool is_bulk_step(const Rules& rules, const nsameta_build_metadata_desc& desc, const launch_size& size,
                  const output_params& set, int num_multiprocessors) {
  const std::int64_t columns = std::int64_t{desc.batch} * size.columns;
  const std::int64_t page_columns = std::int64_t{set.page_table.num_columns} << desc.page_shift;
  const bool pages_are_within = page_columns - (std::int64_t{1} << desc.page_shift) < set.slots_table.num_columns;
  const bool is_possible = desc.max_kv_bound >= 0 && set.slots_table.data != nullptr && pages_are_within;
  return rules.holds("bulk_form", is_possible && columns < INT32_MAX) &&
         rules.more_than("columns", size.columns, tunable::short_columns) &&
         rules.at_least("all_columns", columns, tunable::bulk_columns_per_sm, num_multiprocessors);
}

// Bits of the number of threads that copy a request's rows.
template <class Rules>
std::int32_t choose_thread_bits(const Rules& rules, const nsameta_build_metadata_desc& desc, const launch_size& size,
                                bool has_slots_table, int num_multiprocessors) {
  constexpr std::int32_t kBlockBits = bits_for(kMaxStepBlock);
  if (rules.holds("pages_alone", !has_slots_table)) {
    // A page a thread, within so many blocks a multiprocessor; rounded as below.
    const std::int32_t least_bits = bits_for(rules[tunable::page_threads]);
    const std::int32_t most_bits = kBlockBits + bits_for(rules[tunable::slices_of_row]);
    const std::int64_t most_threads = rules[tunable::page_blocks_per_sm] * num_multiprocessors * kMaxStepBlock;
    std::int32_t bits = std::clamp(bits_for(size.pieces - size.pieces / 16), least_bits, most_bits);
    while (bits > least_bits && std::int64_t{desc.batch} << bits > most_threads) --bits;
    return bits;
  }
  // Rounded, since a bound is often a power of two and a few tokens, which are not worth twice the blocks.
  const std::int64_t pieces_of_thread = is_short(rules, desc, size) ? 1 : rules[tunable::pieces_of_thread];
  const std::int64_t pieces_of_block = pieces_of_thread * kMaxStepBlock;
  const std::int64_t most_blocks = rules.holds("has_kv_bound", desc.max_kv_bound >= 0)
                                       ? rules[tunable::copy_blocks]
                                       : rules[tunable::copy_blocks_per_sm] * num_multiprocessors;
  return kBlockBits +
         choose_slice_bits(rules, (size.pieces + pieces_of_block / 2) / pieces_of_block, most_blocks, desc.batch);
}

// A step that is_plain_step.
template <class Rules>
build_metadata_policy choose_plain_policy(const Rules& rules, const nsameta_build_metadata_desc& desc,
                                          const launch_size& size, const output_params& set, bool has_bulk_copies,
                                          int num_multiprocessors) {
  build_metadata_policy policy = begin_step_policy(size, kMaxStepBlock);
  policy.is_plain = true;
  const std::int64_t num_tokens = std::int64_t{desc.batch} * desc.query_width;
  const auto token_blocks = static_cast<std::int32_t>(ceil_div(num_tokens, policy.block_threads));
  policy.first_copy_block = policy.first_length_block + kNumSumBlocks + token_blocks;
  policy.is_bulk =
      rules.holds("copy_engine", has_bulk_copies) && is_bulk_step(rules, desc, size, set, num_multiprocessors);
  if (policy.is_bulk) {
    // One a multiprocessor, since each takes most of its shared memory.
    policy.num_blocks = std::max(num_multiprocessors, policy.first_copy_block + num_multiprocessors / 2);
    return policy;
  }
  if (!size.has_copies) {
    policy.num_blocks = policy.first_copy_block;
    return policy;
  }
  policy.thread_bits = choose_thread_bits(rules, desc, size, set.slots_table.data != nullptr, num_multiprocessors);
  const std::int64_t threads = std::int64_t{desc.batch} << policy.thread_bits;
  policy.num_blocks = policy.first_copy_block + static_cast<std::int32_t>(ceil_div(threads, policy.block_threads));
  return policy;
}

// The large kernel with its blocks for schedule and plan before the others.
template <class Rules>
build_metadata_policy add_tables(const Rules& rules, build_metadata_policy policy,
                                 const nsameta_build_metadata_desc& desc, const launch_size& size, int warp_width,
                                 int num_multiprocessors) {
  policy.is_small = policy.is_seed_only = false;
  if (size.has_copies) {
    policy.block_threads = max_large_block(warp_width);
    policy.num_blocks = num_multiprocessors;
    const std::int64_t warps = std::int64_t{num_multiprocessors} * policy.block_threads / warp_width;
    policy.slice_bits = choose_slice_bits(rules, ceil_div(size.pieces, warp_width), warps, std::max(desc.batch, 1));
  }
  policy.first_plan_block = size.max_sms > 0 ? 1 : 0;
  policy.first_length_block = policy.first_plan_block + (size.has_plan ? 1 : 0);
  policy.num_blocks += policy.first_length_block;
  return policy;
}

}  // namespace nsameta::simt
