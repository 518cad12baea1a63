// The formulas of mla_schedule, shared by host and device. A place in the batch is a coordinate: the cost, blocks and
// overheads, of all requests before, and the blocks of the request that lie before it.
#pragma once

#include <cstdint>

#include "core/formula.h"
#include "nsameta/nsameta.h"

namespace nsameta::mla {

// Keys of a request from its length as stored.
NSAMETA_HD constexpr std::int32_t keys_of(std::int32_t length, std::int32_t min_keys) {
  return length < min_keys ? min_keys : length;
}

NSAMETA_HD constexpr std::int32_t blocks_of(std::int32_t keys, std::int32_t block_size, std::int32_t layout) {
  const std::int32_t last = keys > 0 ? keys - 1 : 0;
  const std::int32_t blocks = last / block_size + 1;
  return keys == 0 && layout == NSAMETA_MLA_TOKENS ? 0 : blocks;
}

// Where a request ends that is worked off whole.
NSAMETA_HD constexpr std::int32_t end_of(std::int32_t keys, std::int32_t block_size, std::int32_t layout) {
  if (keys == 0 || layout == NSAMETA_MLA_TOKENS) return keys;
  return blocks_of(keys, block_size, layout);
}

// `block` as the layout counts; within a request, so that the product fits.
NSAMETA_HD constexpr std::int32_t place_of(std::int32_t block, std::int32_t block_size, std::int32_t layout) {
  return layout == NSAMETA_MLA_TOKENS ? block * block_size : block;
}

// What a part may spend of a batch that costs `total`.
NSAMETA_HD constexpr std::int64_t budget(std::int64_t total, std::int32_t num_parts, std::int32_t fixed_overhead) {
  return (total + num_parts - 1) / num_parts + fixed_overhead;
}

// A part's row before it is laid out.
struct part_row {
  std::int32_t first;
  std::int32_t begin;  // as the layout counts, as is `end`
  std::int32_t last;
  std::int32_t end;
  std::int32_t split;
  bool begins_inside;  // others work on the first request, from its begin on; on the last, up to its end
  bool ends_inside;
};

NSAMETA_HD constexpr void store(const part_row& row, std::int32_t layout, std::int32_t* words) {
  const bool is_sched_meta = layout == NSAMETA_MLA_SCHED_META;
  words[0] = row.first;
  words[1] = is_sched_meta ? row.last : row.begin;
  words[2] = is_sched_meta ? row.begin : row.last;
  words[3] = row.end;
  words[4] = row.split;
  if (!is_sched_meta) return;
  const bool is_one = row.first == row.last;
  words[5] = row.begins_inside || (is_one && row.ends_inside) ? 1 : 0;
  words[6] = row.ends_inside || (is_one && row.begins_inside) ? 1 : 0;
}

// The row of a part without work; last_end: the end of the last request.
NSAMETA_HD constexpr part_row idle_row(std::int32_t batch, std::int32_t last_end) {
  return {batch, 0, batch - 1, last_end, 0, false, false};
}

static_assert(blocks_of(0, 64, NSAMETA_MLA_TOKENS) == 0 && blocks_of(0, 64, NSAMETA_MLA_BLOCKS) == 1);
static_assert(blocks_of(64, 64, NSAMETA_MLA_TOKENS) == 1 && blocks_of(65, 64, NSAMETA_MLA_BLOCKS) == 2);
static_assert(blocks_of(INT32_MAX, 1, NSAMETA_MLA_BLOCKS) == INT32_MAX);
static_assert(end_of(0, 64, NSAMETA_MLA_BLOCKS) == 0 && end_of(65, 64, NSAMETA_MLA_BLOCKS) == 2);
static_assert(end_of(65, 64, NSAMETA_MLA_TOKENS) == 65 && place_of(2, 64, NSAMETA_MLA_TOKENS) == 128);
static_assert(keys_of(-3, 0) == 0 && keys_of(0, 1) == 1 && keys_of(7, 1) == 7);
static_assert(budget(10, 3, 5) == 9 && budget(0, 3, 5) == 5);

}  // namespace nsameta::mla
