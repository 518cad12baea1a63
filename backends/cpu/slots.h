// KV slots of a request, read from its row of req_to_token.
#pragma once

#include <cstdint>

#include "core/backend.h"

namespace nsameta::cpu {

// Position c lies in slot data[c * stride]; only those of [0, num_positions) exist.
struct slot_row {
  const int32_t* data = nullptr;
  int64_t stride = 0;
  int64_t num_positions = 0;

  // pool_row: -1 for a request that has none.
  slot_row(const nsameta_matrix& req_to_token, int64_t pool_row) {
    if (pool_row < 0) return;
    data = req_to_token.data + pool_row * req_to_token.row_stride;
    stride = req_to_token.column_stride;
    num_positions = req_to_token.num_columns;
  }
};

// Writes the slots of positions [first, first + num), -1 for those that do not exist.
void copy_slots(const slot_row& row, int64_t first, int64_t num, int32_t* to);
void copy_slots(const slot_row& row, int64_t first, int64_t num, int64_t* to);

// Writes the pages of positions first_page << page_shift and of the beginnings of the next num - 1 pages, likewise.
void copy_pages(const slot_row& row, int page_shift, int64_t first_page, int64_t num, int32_t* to);

}  // namespace nsameta::cpu
