// The host copy of a table that a staged run writes, and its way back to the device: only cells that were written.
#pragma once

#include "dispatch/build_extent.h"
#include "dispatch/staging.h"

namespace nsameta::dispatch {

class staged_table {
 public:
  // Makes `host` a view of memory that has room for what the run writes.
  void bind(const nsameta_output& device, int page_shift, const build_extent& extent, nsameta_output* host);
  [[nodiscard]] nsameta_status store(const nsameta_context& context, const nsameta_output& device, void* stream) const;

 private:
  const int32_t* row(int64_t r) const { return cells_ + r * num_columns_; }
  nsameta_status store_row(const nsameta_context& context, const nsameta_output& device, int64_t r, void* stream) const;
  nsameta_status store_column(const nsameta_context& context, const nsameta_output& device, int64_t c,
                              void* stream) const;

  growing_buffer buffer_;
  int32_t* cells_ = nullptr;
  int64_t num_columns_ = 0;           // of the longest row
  std::vector<int64_t> row_lengths_;  // cells of each row that are written
};

}  // namespace nsameta::dispatch
