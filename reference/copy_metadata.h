// The oracle of copy_metadata: one cell at a time, by index.
#pragma once

#include <cstdint>
#include <vector>

namespace nsameta::reference {

// Where the cells of a view lie in a buffer of elements: cell (r, c) is first + r * row_stride + c * column_stride.
struct cell_layout {
  int64_t first = 0;
  int64_t row_stride = 0;
  int64_t column_stride = 1;
};

// Copies num_rows x num_columns cells from one buffer to another.
void copy_metadata(const std::vector<int64_t>& from, const cell_layout& from_layout, int64_t num_rows,
                   int64_t num_columns, const cell_layout& to_layout, std::vector<int64_t>* to);

}  // namespace nsameta::reference
