#include "reference/map_topk_to_slots.h"

#include <algorithm>

namespace nsameta::reference {
namespace {

int64_t size_of(const std::vector<int64_t>& values) { return static_cast<int64_t>(values.size()); }

int32_t cut(int64_t value) { return static_cast<int32_t>(std::clamp<int64_t>(value, INT32_MIN, INT32_MAX)); }

// The request whose tokens hold `token`; the number of requests when there is none.
int64_t request_of(const topk_inputs& in, int64_t token) {
  if (!in.token_to_batch.empty()) return in.token_to_batch[static_cast<size_t>(token)];
  for (size_t r = 0; r + 1 < in.cu_seqlens_q.size(); ++r) {
    if (token < in.cu_seqlens_q[r + 1]) return static_cast<int64_t>(r);
  }
  return size_of(in.req_pool_indices);
}

// The row of the table for a token; negative, with its fault, when there is none.
int64_t table_row_of(const topk_inputs& in, int64_t token, metadata_fault* fault) {
  if (in.kind == slot_table::page_table) return token;
  if (in.kind == slot_table::flattened) return 0;
  const int64_t request = request_of(in, token);
  if (request < 0 || request >= size_of(in.req_pool_indices)) {
    *fault = {NSAMETA_CHECK_POOL_ROW, -1, cut(request)};
    return -1;
  }
  const int64_t row = in.req_pool_indices[static_cast<size_t>(request)];
  if (row >= 0 && row < in.table_rows) return row;
  *fault = {NSAMETA_CHECK_POOL_ROW, static_cast<int32_t>(request), cut(row)};
  return -1;
}

int32_t slot_of(const topk_inputs& in, int64_t token, int64_t index, std::vector<metadata_fault>* faults) {
  if (in.kind == slot_table::none) return static_cast<int32_t>(static_cast<uint32_t>(static_cast<uint64_t>(index)));
  metadata_fault fault;
  const int64_t row = table_row_of(in, token, &fault);
  if (row < 0) {
    faults->push_back(fault);
    return -1;
  }
  if (index < 0 || index >= in.table_columns) {
    faults->push_back({NSAMETA_CHECK_TOPK_INDEX, static_cast<int32_t>(token), cut(index)});
    return -1;
  }
  return static_cast<int32_t>(in.table[static_cast<size_t>(row * in.table_columns + index)]);
}

}  // namespace

topk_slots map_topk_to_slots(const topk_inputs& in, int64_t num_tokens) {
  topk_slots out;
  for (int64_t t = 0; t < num_tokens; ++t) {
    int32_t num_valid = 0;
    for (int64_t i = 0; i < in.num_topk; ++i) {
      const int64_t x = in.topk_indices[static_cast<size_t>(t * in.num_topk + i)];
      const int64_t offset = in.offset.empty() ? 0 : in.offset[static_cast<size_t>(t)];
      const int32_t slot = x < 0 ? -1 : slot_of(in, t, x + offset, &out.faults);
      out.slots.push_back(slot);
      if (slot != -1) ++num_valid;
    }
    out.num_valid.push_back(num_valid);
  }
  return out;
}

}  // namespace nsameta::reference
