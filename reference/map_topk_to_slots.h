// The oracle of map_topk_to_slots: every slot by the definition.
#pragma once

#include <cstdint>
#include <vector>

#include "reference/build_metadata.h"

namespace nsameta::reference {

enum class slot_table { req_to_token, page_table, flattened, none };

struct topk_inputs {
  int64_t num_topk = 0;
  std::vector<int64_t> topk_indices{};  // [T, num_topk]
  std::vector<int64_t> offset{};        // [T], or empty: 0
  slot_table kind = slot_table::none;
  std::vector<int64_t> table{};  // [table_rows, table_columns]; one row when flattened
  int64_t table_rows = 0;
  int64_t table_columns = 0;
  std::vector<int64_t> req_pool_indices{};  // [B]
  std::vector<int64_t> token_to_batch{};    // [T], or empty:
  std::vector<int64_t> cu_seqlens_q{};      // [B + 1]
};

struct topk_slots {
  std::vector<int32_t> slots;            // [T, num_topk]
  std::vector<int32_t> num_valid;        // [T]
  std::vector<metadata_fault> faults{};  // all of them, in the order of rows
};

// Of the first `num_tokens` rows.
topk_slots map_topk_to_slots(const topk_inputs& inputs, int64_t num_tokens);

}  // namespace nsameta::reference
