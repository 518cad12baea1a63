// The req_to_token table of an engine: one row a request, one KV slot a position.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

namespace nsameta::cli {

class req_to_token {
 public:
  req_to_token(int32_t num_rows, int64_t max_context);

  int64_t max_context() const { return max_context_; }
  int32_t num_free_rows() const { return static_cast<int32_t>(free_rows_.size()); }
  // The row given back last is taken first, so that a quiet engine stays in few rows.
  int32_t take_row();
  void give_back_row(int32_t row) { free_rows_.push_back(row); }

  std::span<int32_t> row(int32_t idx) const {
    return {slots_.get() + int64_t{idx} * max_context_, static_cast<size_t>(max_context_)};
  }
  int32_t num_rows() const { return static_cast<int32_t>(changed_.size()); }

  // To be called for positions [first, end) of a row that were written, so that a copy elsewhere can follow.
  void mark_changed(int32_t row, int32_t first, int32_t end);
  // Calls visit(row, first, end) with what covers the changes since the last call.
  template <typename Visit>
  void take_changes(Visit&& visit) {
    for (const int32_t idx : changed_rows_) {
      auto& changed = changed_[static_cast<size_t>(idx)];
      visit(idx, changed.first, changed.end);
      changed = {};
    }
    changed_rows_.clear();
  }

 private:
  struct position_range {
    int32_t first = 0;
    int32_t end = 0;
  };
  struct free_memory {
    void operator()(int32_t* memory) const { std::free(memory); }
  };

  int64_t max_context_;
  std::unique_ptr<int32_t[], free_memory> slots_;
  std::vector<int32_t> free_rows_;
  std::vector<position_range> changed_;  // by row
  std::vector<int32_t> changed_rows_;    // whose range is not empty
};

}  // namespace nsameta::cli
