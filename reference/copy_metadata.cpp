#include "reference/copy_metadata.h"

#include <cstddef>

namespace nsameta::reference {

void copy_metadata(const std::vector<int64_t>& from, const cell_layout& from_layout, int64_t num_rows,
                   int64_t num_columns, const cell_layout& to_layout, std::vector<int64_t>* to) {
  const auto place = [](const cell_layout& layout, int64_t row, int64_t column) {
    return static_cast<size_t>(layout.first + row * layout.row_stride + column * layout.column_stride);
  };
  for (int64_t row = 0; row < num_rows; ++row) {
    for (int64_t column = 0; column < num_columns; ++column) {
      to->at(place(to_layout, row, column)) = from.at(place(from_layout, row, column));
    }
  }
}

}  // namespace nsameta::reference
