#include "dispatch/staged_table.h"

#include <algorithm>

namespace nsameta::dispatch {

void staged_table::bind(const nsameta_output& device, int page_shift, const build_extent& extent,
                        nsameta_output* host) {
  const int64_t num_rows = std::min(extent.num_table_rows(), device.capacity);
  row_lengths_.clear();
  num_columns_ = 0;
  for (int64_t r = 0; r < extent.batch; ++r) {
    const int64_t written = extent.num_table_columns(device, page_shift, r);
    const int64_t end = static_cast<int64_t>(row_lengths_.size()) + extent.num_table_rows(r);
    row_lengths_.resize(static_cast<size_t>(std::min(end, num_rows)), written);
    num_columns_ = std::max(num_columns_, written);
  }
  // Only a run knows what it writes; capacities may be of any size.
  const auto num_cells = static_cast<size_t>(num_rows) * static_cast<size_t>(num_columns_);
  cells_ = static_cast<int32_t*>(buffer_.at_least(num_cells * sizeof(int32_t)));
  host->data = cells_;
  host->row_stride = num_columns_;
  host->column_stride = 1;
}

nsameta_status staged_table::store_row(const nsameta_context& context, const nsameta_output& device, int64_t r,
                                       void* stream) const {
  auto* to = static_cast<int32_t*>(device.data) + r * device.row_stride;
  const int64_t length = row_lengths_[static_cast<size_t>(r)];
  if (device.column_stride == 1) {
    return copy_out(context, to, row(r), static_cast<size_t>(length) * sizeof(int32_t), stream);
  }
  for (int64_t c = 0; c < length; ++c) {
    const auto status = copy_out(context, to + c * device.column_stride, row(r) + c, sizeof(int32_t), stream);
    if (status != NSAMETA_OK) return status;
  }
  return NSAMETA_OK;
}

// In runs of rows that reach to the column.
nsameta_status staged_table::store_column(const nsameta_context& context, const nsameta_output& device, int64_t c,
                                          void* stream) const {
  std::vector<int32_t> run;
  const auto num_rows = static_cast<int64_t>(row_lengths_.size());
  for (int64_t r = 0; r < num_rows; ++r) {
    if (row_lengths_[static_cast<size_t>(r)] <= c) continue;
    run.clear();
    auto* to = static_cast<int32_t*>(device.data) + r + c * device.column_stride;
    for (; r < num_rows && row_lengths_[static_cast<size_t>(r)] > c; ++r) run.push_back(row(r)[c]);
    const auto status = copy_out(context, to, run.data(), run.size() * sizeof(int32_t), stream);
    if (status != NSAMETA_OK) return status;
  }
  return NSAMETA_OK;
}

// Cells between those of a table may be written by others at the same time, so nothing but written cells may be
// copied: where neither rows nor columns are contiguous, one at a time.
nsameta_status staged_table::store(const nsameta_context& context, const nsameta_output& device, void* stream) const {
  const bool by_column = device.column_stride != 1 && device.row_stride == 1;
  const auto count = by_column ? num_columns_ : static_cast<int64_t>(row_lengths_.size());
  for (int64_t i = 0; i < count; ++i) {
    const auto status = by_column ? store_column(context, device, i, stream) : store_row(context, device, i, stream);
    if (status != NSAMETA_OK) return status;
  }
  return NSAMETA_OK;
}

}  // namespace nsameta::dispatch
