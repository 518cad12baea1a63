#include "cli/table_verifier.h"

#include <algorithm>
#include <cstring>

namespace nsameta::cli {
namespace {

// No slot has this value.
constexpr int32_t kMark = kPoison;
// On a device each mark costs a copy, so that only some rows get one.
constexpr int64_t kMarksOnDevice = 8;

}  // namespace

template <typename Visit>
void table_verifier::for_each_row(const reference::metadata& expected, Visit&& visit) const {
  const auto visit_table = [&](const table_place& place, const std::vector<row_cells>& rows) {
    if (!place.is_built()) return;
    int64_t row = 0;
    for (size_t r = 0; r < rows.size(); ++r) {
      const int64_t count = builder_.rows_are_tokens() ? expected.cu_seqlens_q[r + 1] - expected.cu_seqlens_q[r] : 1;
      for (int64_t j = 0; j < count; ++j) visit(place, row++, rows[r]);
    }
    if (row < place.num_rows) visit(place, row, nothing_);
  };
  visit_table(builder_.page_table_1(), expected.page_table_1);
  visit_table(builder_.real_page_table(), expected.real_page_table);
  const auto& flattened = builder_.page_table_1_flattened();
  if (flattened.is_built()) visit(flattened, int64_t{0}, expected.page_table_1_flattened);
}

void table_verifier::mark(const table_place& place, int64_t row, int64_t column) const {
  int32_t* cell = place.cells.as<int32_t>() + row * place.row_stride + column;
  session_.copy_to_device(cell, &kMark, sizeof(kMark));
}

void table_verifier::prepare(const reference::metadata& expected) {
  mark_interval_ = session_.is_host() ? 1 : std::max<int64_t>(expected.total_tokens / kMarksOnDevice, 1);
  for_each_row(expected, [&](const table_place& place, int64_t row, const row_cells& cells) {
    if (row % mark_interval_ == 0) mark(place, row, static_cast<int64_t>(cells.size()));
  });
}

void table_verifier::check_row(const table_place& place, int64_t row, const row_cells& expected, int64_t step,
                               mismatch_list* list) {
  const int32_t* cells = place.cells.as<int32_t>() + row * place.row_stride;
  const size_t num_cells = expected.size() + 1;  // with the mark
  if (!session_.is_host()) {
    scratch_.resize(num_cells);
    session_.copy_to_host(scratch_.data(), cells, num_cells * sizeof(int32_t));
    cells = scratch_.data();
  }
  const auto add = [&](size_t column, int32_t wanted) {
    const int64_t index = row * place.num_columns + static_cast<int64_t>(column);
    list->add({step, builder_.options().mode, place.name, index, wanted, cells[column]});
  };
  const size_t bytes = expected.size() * sizeof(int32_t);
  if (bytes > 0 && std::memcmp(cells, expected.data(), bytes) != 0) {
    for (size_t column = 0; column < expected.size(); ++column) {
      if (cells[column] != expected[column]) add(column, expected[column]);
    }
  }
  if (row % mark_interval_ == 0 && cells[expected.size()] != kMark) add(expected.size(), kMark);
}

void table_verifier::check(const reference::metadata& expected, int64_t step, mismatch_list* list) {
  for_each_row(expected, [&](const table_place& place, int64_t row, const row_cells& cells) {
    check_row(place, row, cells, step, list);
  });
}

}  // namespace nsameta::cli
