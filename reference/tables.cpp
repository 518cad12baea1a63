// The outputs that read req_to_token, cell by cell.
#include <algorithm>

#include "reference/parts.h"

namespace nsameta::reference {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Columns of a row that are written if the table is wide enough.
int64_t live_columns(const metadata_inputs& in, int64_t kv) {
  switch (in.table_width) {
    case NSAMETA_TABLE_LIVE_128: return ceil_div(kv, 128) * 128;
    case NSAMETA_TABLE_EXACT: return kv;
    default: return INT64_MAX / 2;
  }
}

// Keeps the rows' memory.
void clear_rows(size_t num_rows, std::vector<std::vector<int32_t>>* rows) {
  for (auto& row : *rows) row.clear();
  if (rows->size() < num_rows) rows->resize(num_rows);
}

int32_t page_of(int32_t slot, int32_t page_size) {
  return slot >= 0 ? slot / page_size : -((-(slot + 1)) / page_size) - 1;
}

}  // namespace

int32_t slot_of(const metadata_inputs& in, const request& r, int64_t position) {
  if (r.pool_row < 0 || r.pool_row >= in.pool_rows) return -1;
  if (position < 0 || position >= in.max_context) return -1;
  return in.req_to_token[r.pool_row * in.max_context + position];
}

void add_tables(const metadata_inputs& in, const std::vector<request>& requests, metadata* out) {
  clear_rows(in.table_columns > 0 ? requests.size() : 0, &out->page_table_1);
  clear_rows(in.page_columns > 0 ? requests.size() : 0, &out->real_page_table);
  out->page_table_1_flattened.clear();
  int64_t num_keys = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    const request& r = requests[i];
    const int64_t live = live_columns(in, r.kv);
    for (int64_t c = 0; c < std::min(live, in.table_columns); ++c) out->page_table_1[i].push_back(slot_of(in, r, c));
    for (int64_t page = 0; page < std::min(ceil_div(live, in.page_size), in.page_columns); ++page) {
      out->real_page_table[i].push_back(page_of(slot_of(in, r, page * in.page_size), in.page_size));
    }
    for (int64_t c = 0; c < r.kv && num_keys < in.max_keys; ++c, ++num_keys) {
      out->page_table_1_flattened.push_back(slot_of(in, r, c));
    }
  }
}

}  // namespace nsameta::reference
