// The host copy of what a batch needs of req_to_token: a row for each pool row that a request has, as far as it is
// read.
#pragma once

#include <vector>

#include "dispatch/build_extent.h"
#include "dispatch/staging.h"

namespace nsameta::dispatch {

class staged_pool {
 public:
  explicit staged_pool(const nsameta_build_metadata_desc& device)
      : device_indices_(device.req_pool_indices, device.batch) {}

  // Makes req_pool_indices and req_to_token of `host` views of host memory. Indices outside the pool stay as they are.
  [[nodiscard]] nsameta_status fetch(const nsameta_context& context, const nsameta_build_metadata_desc& device,
                                     const build_extent& extent, void* stream, nsameta_build_metadata_desc* host);

 private:
  struct pool_row {
    int64_t device_row;
    build_extent::range columns;
  };

  void find_rows(const nsameta_build_metadata_desc& device, const nsameta_lengths& indices, const build_extent& extent);

  staged_lengths device_indices_;
  std::vector<int64_t> indices_;  // of each request into rows_
  std::vector<pool_row> rows_;
  growing_buffer cells_;
};

}  // namespace nsameta::dispatch
