#include "dispatch/staged_pool.h"

#include <algorithm>
#include <unordered_map>

namespace nsameta::dispatch {

using desc_t = nsameta_build_metadata_desc;

// There are at most as many rows as the pool has, so that no index outside the pool becomes one of them.
void staged_pool::find_rows(const desc_t& device, const nsameta_lengths& indices, const build_extent& extent) {
  std::unordered_map<int64_t, int64_t> row_of;
  indices_.resize(static_cast<size_t>(extent.batch));
  rows_.clear();
  for (int64_t r = 0; r < extent.batch; ++r) {
    const int64_t device_row = read_wide_length(indices, r);
    auto& index = indices_[static_cast<size_t>(r)];
    index = device_row;
    if (device_row < 0 || device_row >= device.req_to_token.num_rows) continue;
    const auto read = extent.slots_read(device, r);
    const auto [it, is_new] = row_of.try_emplace(device_row, static_cast<int64_t>(rows_.size()));
    index = it->second;
    if (is_new) {
      rows_.push_back({device_row, read});
    } else if (read.begin < read.end) {
      auto& columns = rows_[static_cast<size_t>(index)].columns;
      if (columns.begin == columns.end) columns = read;
      columns = {std::min(columns.begin, read.begin), std::max(columns.end, read.end)};
    }
  }
}

nsameta_status staged_pool::fetch(const nsameta_context& context, const desc_t& device, const build_extent& extent,
                                  void* stream, desc_t* host) {
  nsameta_lengths indices;
  const auto status = device_indices_.fetch(context, device.req_pool_indices, extent.batch, stream, &indices);
  if (status != NSAMETA_OK) return status;
  find_rows(device, indices, extent);
  int64_t num_columns = 0;
  for (const pool_row& row : rows_) num_columns = std::max(num_columns, row.columns.end);
  // Only a run knows what it reads; whole tables may be of any size.
  auto* cells =
      static_cast<int32_t*>(cells_.at_least(rows_.size() * static_cast<size_t>(num_columns) * sizeof(int32_t)));
  const nsameta_matrix& pool = device.req_to_token;
  for (size_t i = 0; i < rows_.size(); ++i) {
    const auto [begin, end] = rows_[i].columns;
    const auto* from = pool.data + rows_[i].device_row * pool.row_stride + begin * pool.column_stride;
    auto* to = cells + static_cast<int64_t>(i) * num_columns + begin;
    const auto fetched = copy_cells_in(context, to, from, end - begin, pool.column_stride, stream);
    if (fetched != NSAMETA_OK) return fetched;
  }
  host->req_pool_indices = {indices_.data(), 1, NSAMETA_INT64, 0};
  host->req_to_token = {cells, pool.num_rows, pool.num_columns, num_columns, 1};
  return NSAMETA_OK;
}

}  // namespace nsameta::dispatch
