#include "tests/support/layout.h"

#include <cstdlib>
#include <utility>

namespace nsameta::test {
namespace {

placement place(int64_t num_rows, int64_t num_columns, int64_t row_stride, int64_t column_stride) {
  placement p{num_rows, num_columns, row_stride, column_stride, 0, 0};
  if (num_rows == 0 || num_columns == 0) return p;
  if (row_stride < 0) p.first -= (num_rows - 1) * row_stride;
  if (column_stride < 0) p.first -= (num_columns - 1) * column_stride;
  p.extent = (num_rows - 1) * std::abs(row_stride) + (num_columns - 1) * std::abs(column_stride) + 1;
  return p;
}

// Address of element (0, 0).
void* first_element(uintptr_t data, const placement& p, nsameta_dtype dtype) {
  const uintptr_t width = dtype == NSAMETA_INT64 ? 8 : 4;
  return reinterpret_cast<void*>(data + static_cast<uintptr_t>(p.first) * width);
}

}  // namespace

placement place_vector(int64_t count, int64_t stride) { return place(count, 1, stride, 1); }

placement place_matrix(const matrix_layout& layout, int64_t num_rows, int64_t num_columns) {
  const int64_t line = layout.is_column_major ? num_rows : num_columns;
  int64_t row_stride = line * layout.inner_step + layout.padding;
  int64_t column_stride = layout.inner_step;
  if (layout.is_column_major) std::swap(row_stride, column_stride);
  if (layout.has_rows_reversed) row_stride = -row_stride;
  if (layout.has_columns_reversed) column_stride = -column_stride;
  return place(num_rows, num_columns, row_stride, column_stride);
}

nsameta_tensor vector_at(uintptr_t data, const placement& p, nsameta_dtype dtype, nsameta_device device) {
  return {.data = first_element(data, p, dtype),
          .shape = {p.num_rows, 0},
          .strides = {p.row_stride, 0},
          .ndim = 1,
          .dtype = dtype,
          .device = device};
}

nsameta_tensor matrix_at(uintptr_t data, const placement& p, nsameta_device device) {
  return {.data = first_element(data, p, NSAMETA_INT32),
          .shape = {p.num_rows, p.num_columns},
          .strides = {p.row_stride, p.column_stride},
          .ndim = 2,
          .dtype = NSAMETA_INT32,
          .device = device};
}

std::string to_string(const matrix_layout& layout) {
  return std::string(layout.is_column_major ? "column-major" : "row-major") +
         (layout.has_rows_reversed ? " rows reversed" : "") + (layout.has_columns_reversed ? " columns reversed" : "") +
         " step " + std::to_string(layout.inner_step) + " padding " + std::to_string(layout.padding);
}

}  // namespace nsameta::test
