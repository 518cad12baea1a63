// One call of copy_metadata: buffers, views of them, and what memory must hold afterwards.
#pragma once

#include "reference/copy_metadata.h"
#include "tests/support/device_block.h"
#include "tests/support/op_test.h"

namespace nsameta::test {

struct copy_buffer {
  nsameta_dtype dtype = NSAMETA_INT32;
  int64_t num_elements = 0;
  int64_t offset_elements = 0;  // from a 256-byte boundary
};

struct copy_view {
  int buffer = 0;
  reference::cell_layout layout{};
};

inline constexpr int64_t kOneDimension = -1;  // as num_rows: 1-D views of num_columns

struct copy_pair {
  int64_t num_rows = kOneDimension;
  int64_t num_columns = 0;
  copy_view source{};
  copy_view destination{};
};

struct copy_case {
  std::vector<copy_buffer> buffers;
  std::vector<copy_pair> pairs;

  // The number of a new buffer.
  int add_buffer(int64_t num_elements, int64_t offset_elements = 0, nsameta_dtype dtype = NSAMETA_INT32);
  // A pair between two new buffers that the views just fill. Strides of the source may be anything.
  void add_pair(int64_t num_rows, int64_t num_columns, reference::cell_layout from, reference::cell_layout to,
                nsameta_dtype dtype = NSAMETA_INT32, int64_t from_offset = 0, int64_t to_offset = 0);
  // `count` neighbours into as many.
  void add_vector(int64_t count, int64_t from_offset = 0, int64_t to_offset = 0, nsameta_dtype dtype = NSAMETA_INT32) {
    add_pair(kOneDimension, count, {}, {}, dtype, from_offset, to_offset);
  }
};

class bound_copy final : public bound_call {
 public:
  bound_copy(nsameta_context* context, void* stream, copy_case c, device_memory* memory = nullptr);

  nsameta_op op() const override { return NSAMETA_OP_COPY_METADATA; }
  const void* args() const override { return &args_; }
  nsameta_status run_once(void* stream) override { return nsameta_copy_metadata(context_, &args_, stream); }
  void reset() override;
  testing::AssertionResult holds(int64_t count) override;
  testing::AssertionResult is_untouched() override { return block_.is_untouched(); }

  // To be spoilt.
  nsameta_copy_metadata_args& mutable_args() { return args_; }
  std::vector<nsameta_copy_pair>& pairs() { return pairs_; }

 private:
  nsameta_tensor tensor_of(const copy_pair& pair, const copy_view& view) const;

  nsameta_context* context_;
  copy_case case_;
  device_block block_;
  std::vector<nsameta_copy_pair> pairs_;
  nsameta_copy_metadata_args args_{};
  uint32_t salt_ = 0;
};

}  // namespace nsameta::test
