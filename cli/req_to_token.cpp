#include "cli/req_to_token.h"

#include <algorithm>
#include <new>

namespace nsameta::cli {

// calloc: rows of 128K tokens that are never used cost address space and no memory.
req_to_token::req_to_token(int32_t num_rows, int64_t max_context)
    : max_context_(max_context),
      slots_(static_cast<int32_t*>(
          std::calloc(static_cast<size_t>(num_rows) * static_cast<size_t>(max_context), sizeof(int32_t)))),
      changed_(static_cast<size_t>(num_rows)) {
  if (slots_ == nullptr) throw std::bad_alloc();
  free_rows_.reserve(static_cast<size_t>(num_rows));
  for (int32_t idx = num_rows - 1; idx >= 0; --idx) free_rows_.push_back(idx);
}

int32_t req_to_token::take_row() {
  const int32_t idx = free_rows_.back();
  free_rows_.pop_back();
  return idx;
}

void req_to_token::mark_changed(int32_t row, int32_t first, int32_t end) {
  if (first == end) return;
  auto& changed = changed_[static_cast<size_t>(row)];
  if (changed.first == changed.end) {
    changed = {first, end};
    changed_rows_.push_back(row);
    return;
  }
  changed = {std::min(changed.first, first), std::max(changed.end, end)};
}

}  // namespace nsameta::cli
