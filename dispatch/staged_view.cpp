#include "dispatch/staged_view.h"

#include <algorithm>

namespace nsameta::dispatch {
namespace {

// Elements from the lowest to the highest of `extent` elements, less one.
int64_t reach(int64_t extent, int64_t stride) { return extent == 0 ? 0 : (extent - 1) * std::abs(stride); }

// Elements that lie below the first one.
int64_t below(int64_t extent, int64_t stride) { return stride < 0 ? reach(extent, stride) : 0; }

}  // namespace

staged_view::staged_view(const strided_view& device) : device_(device), host_(device) {
  if (device.num_rows == 0 || device.num_columns == 0) return;
  const int64_t row_elements = reach(device.num_columns, device.column_stride) + 1;
  is_one_piece_ = device.num_rows == 1 || std::abs(device.row_stride) <= row_elements;
  if (!is_one_piece_) host_.row_stride = row_elements;
  const int64_t elements = reach(device.num_rows, host_.row_stride) + row_elements;
  buffer_ = host_buffer(static_cast<size_t>(elements * device.element_bytes));
  const int64_t first = below(device.num_rows, host_.row_stride) + below(device.num_columns, device.column_stride);
  host_.data = buffer_.data() + first * device.element_bytes;
}

staged_view::piece staged_view::row_piece(int64_t row) const {
  const int64_t low = below(device_.num_columns, device_.column_stride);
  const int64_t elements = reach(device_.num_columns, device_.column_stride) + 1;
  return {device_.data + (row * device_.row_stride - low) * device_.element_bytes,
          host_.data + (row * host_.row_stride - low) * device_.element_bytes,
          static_cast<size_t>(elements * device_.element_bytes)};
}

staged_view::piece staged_view::whole_piece(int64_t num_rows) const {
  piece all = row_piece(device_.row_stride < 0 ? num_rows - 1 : 0);
  all.bytes += static_cast<size_t>(reach(num_rows, device_.row_stride) * device_.element_bytes);
  return all;
}

nsameta_status staged_view::fetch_row(const nsameta_context& context, int64_t row, void* stream) const {
  if (device_.num_columns == 0) return NSAMETA_OK;
  const piece part = row_piece(row);
  return copy_in(context, part.host, part.device, part.bytes, stream);
}

nsameta_status staged_view::fetch(const nsameta_context& context, int64_t num_rows, void* stream) const {
  if (num_rows == 0 || device_.num_columns == 0) return NSAMETA_OK;
  if (is_one_piece_) {
    const piece part = whole_piece(num_rows);
    return copy_in(context, part.host, part.device, part.bytes, stream);
  }
  auto status = NSAMETA_OK;
  for (int64_t row = 0; row < num_rows && status == NSAMETA_OK; ++row) status = fetch_row(context, row, stream);
  return status;
}

nsameta_status staged_view::store(const nsameta_context& context, int64_t num_rows, void* stream) const {
  if (num_rows == 0 || device_.num_columns == 0) return NSAMETA_OK;
  const int64_t num_pieces = is_one_piece_ ? 1 : num_rows;
  auto status = NSAMETA_OK;
  for (int64_t i = 0; i < num_pieces && status == NSAMETA_OK; ++i) {
    const piece part = is_one_piece_ ? whole_piece(num_rows) : row_piece(i);
    status = copy_out(context, part.device, part.host, part.bytes, stream);
  }
  return status;
}

}  // namespace nsameta::dispatch
