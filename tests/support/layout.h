// How the tensors of a test case lie in memory: strides of any sign, gaps, either dimension innermost.
#pragma once

#include <cstdint>
#include <string>

#include "nsameta/nsameta.h"

namespace nsameta::test {

struct input_layout {
  nsameta_dtype dtype = NSAMETA_INT32;
  int64_t stride = 1;
  int64_t offset_elements = 0;  // from a 256-byte boundary
};

struct matrix_layout {
  bool is_column_major = false;
  bool has_rows_reversed = false;  // the row stride is negative
  bool has_columns_reversed = false;
  int64_t inner_step = 1;  // stride of the dimension that runs fastest
  int64_t padding = 0;     // elements behind each line of it
};

// Where the elements of a vector or matrix are, in elements from the lowest address.
struct placement {
  int64_t num_rows = 0;
  int64_t num_columns = 0;
  int64_t row_stride = 0;
  int64_t column_stride = 0;
  int64_t first = 0;   // of element (0, 0)
  int64_t extent = 0;  // elements from the lowest to behind the highest address

  int64_t at(int64_t row, int64_t column = 0) const { return first + row * row_stride + column * column_stride; }
};

placement place_vector(int64_t count, int64_t stride);
placement place_matrix(const matrix_layout& layout, int64_t num_rows, int64_t num_columns);

// Tensors at `data`, the lowest address.
nsameta_tensor vector_at(uintptr_t data, const placement& place, nsameta_dtype dtype, nsameta_device device);
nsameta_tensor matrix_at(uintptr_t data, const placement& place, nsameta_device device);

std::string to_string(const matrix_layout& layout);

}  // namespace nsameta::test
