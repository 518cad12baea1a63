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
  [[gnu::always_inline]] slot_row(const nsameta_matrix& req_to_token, int64_t pool_row) {
    if (pool_row < 0) return;
    data = req_to_token.data + pool_row * req_to_token.row_stride;
    stride = req_to_token.column_stride;
    num_positions = req_to_token.num_columns;
  }
};

}  // namespace nsameta::cpu
