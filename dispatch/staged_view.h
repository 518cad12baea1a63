// The host copy of a view in device memory, for staged runs.
#pragma once

#include "dispatch/staging.h"

namespace nsameta::dispatch {

// Element (r, c) is data[r * row_stride + c * column_stride]. Strides count elements.
struct strided_view {
  std::byte* data;
  int64_t num_rows;
  int64_t num_columns;
  int64_t row_stride;
  int64_t column_stride;
  int64_t element_bytes;
};

// Rows that lie apart are copied one by one, so that what is between them is neither read nor written. Rows without a
// gap, or that overlap, are copied as one piece.
class staged_view {
 public:
  staged_view() = default;
  explicit staged_view(const strided_view& device);  // allocates; pages that are never fetched are never touched

  // The copy; its strides may differ from those of the device.
  const strided_view& host() const { return host_; }
  // Whether store() also writes what lies between the cells of a row, which must have been fetched before.
  bool has_gaps() const { return host_.num_columns > 1 && host_.column_stride != 1; }

  // The first `num_rows` rows.
  [[nodiscard]] nsameta_status fetch(const nsameta_context& context, int64_t num_rows, void* stream) const;
  [[nodiscard]] nsameta_status store(const nsameta_context& context, int64_t num_rows, void* stream) const;
  [[nodiscard]] nsameta_status fetch_row(const nsameta_context& context, int64_t row, void* stream) const;

 private:
  // A run of bytes on both sides.
  struct piece {
    std::byte* device;
    std::byte* host;
    size_t bytes;
  };
  piece row_piece(int64_t row) const;
  piece whole_piece(int64_t num_rows) const;

  strided_view device_{};
  strided_view host_{};
  bool is_one_piece_ = true;
  host_buffer buffer_;
};

}  // namespace nsameta::dispatch
