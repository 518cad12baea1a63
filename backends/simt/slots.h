// KV slots of requests: rows of req_to_token, and how much of them a page table's row takes.
#pragma once

#include <cstdint>

#include "backends/simt/requests.h"

namespace nsameta::simt {

// Number of the row of req_to_token that a request has.
NSAMETA_DEVICE std::int64_t load_pool_row(const build_metadata_params& p, std::int32_t request) {
  const auto* const words =
      reinterpret_cast<const std::int32_t*>(p.pool_rows.data + std::int64_t{request} * p.pool_rows.stride_bytes);
  const std::int32_t low = words[0];
  const std::int32_t high = p.pool_rows_are_int64 != 0 ? words[1] : low >> 31;
  return (std::int64_t{high} << 32) | static_cast<std::uint32_t>(low);
}

NSAMETA_DEVICE bool has_row(const build_metadata_params& p, std::int64_t pool_row) {
  return static_cast<std::uint64_t>(pool_row) < static_cast<std::uint64_t>(p.num_pool_rows);
}

// nullptr when the number is out of range.
NSAMETA_DEVICE const std::int32_t* find_row(const build_metadata_params& p, std::int64_t pool_row) {
  return has_row(p, pool_row) ? p.req_to_token + pool_row * p.req_to_token_row_stride : nullptr;
}

// Slot of a position; -1 where there is none.
NSAMETA_DEVICE std::int32_t slot_at(const build_metadata_params& p, const std::int32_t* row, std::int32_t position) {
  const bool exists =
      row != nullptr && static_cast<std::uint32_t>(position) < static_cast<std::uint32_t>(p.max_context);
  return exists ? row[position * p.req_to_token_column_stride] : -1;
}

// Columns of a row of page_table_1 that are written, and of real_page_table: the pages that begin below them.
NSAMETA_DEVICE std::uint32_t live_columns(const build_metadata_params& p, std::int32_t kv) {
  return ((static_cast<std::uint32_t>(kv) + p.live_add) & p.live_mask) | p.live_bits;
}

NSAMETA_DEVICE std::int32_t columns_in(const table_params& table, std::uint32_t columns) {
  const auto all = static_cast<std::uint32_t>(table.num_columns);
  return static_cast<std::int32_t>(columns < all ? columns : all);
}

NSAMETA_DEVICE std::uint32_t pages_below(const build_metadata_params& p, std::uint32_t columns) {
  return (columns + (1U << p.page_shift) - 1U) >> p.page_shift;
}

// Tells the host of a request whose slots cannot all be found. One thread of the launch calls it for a request.
template <class Rt>
NSAMETA_DEVICE void report_slots(const build_metadata_params& p, std::int32_t request, std::int64_t pool_row,
                                 std::int32_t kv) {
  if (!has_row(p, pool_row)) report_fault<Rt>(p, NSAMETA_CHECK_POOL_ROW, request, pool_row);
  if (kv > p.max_context) report_fault<Rt>(p, NSAMETA_CHECK_KV_OVER_CONTEXT, request, kv);
}

}  // namespace nsameta::simt
