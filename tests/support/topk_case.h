// One call of map_topk_to_slots: its inputs, how the tensors lie in memory, and what memory must hold afterwards.
#pragma once

#include "reference/map_topk_to_slots.h"
#include "tests/support/device_block.h"
#include "tests/support/op_test.h"
#include "tests/support/random.h"

namespace nsameta::test {

struct topk_case {
  reference::topk_inputs inputs;
  int64_t num_tokens = 0;
  bool is_in_place = false;
  bool has_num_valid = true;
  int64_t topk_row_slack = 0;  // elements between rows
  int64_t slots_row_slack = 0;
  int64_t topk_offset_elements = 0;  // from a 256-byte boundary
  int64_t slots_offset_elements = 0;
  int64_t vector_stride = 1;  // of every vector that is read
  int64_t vector_slack = 0;   // spare elements at their ends
  nsameta_dtype pool_dtype = NSAMETA_INT64;
  bool is_table_transposed = false;
  int64_t table_row_slack = 0;
};

// Indices of `context` keys and no faults: T tokens, of which a quarter of the indices are -1.
topk_case random_topk_case(random_source& random, reference::slot_table kind, int64_t num_tokens, int64_t num_topk,
                           int64_t context);

class bound_topk final : public bound_call {
 public:
  bound_topk(nsameta_context* context, void* stream, topk_case c, device_memory* memory = nullptr);

  nsameta_op op() const override { return NSAMETA_OP_MAP_TOPK_TO_SLOTS; }
  const void* args() const override { return &args_; }
  nsameta_status run_once(void* stream) override { return nsameta_map_topk_to_slots(context_, &args_, stream); }
  void reset() override;
  testing::AssertionResult holds(int64_t count) override;
  testing::AssertionResult is_untouched() override { return block_.is_untouched(); }

  // To be spoilt.
  nsameta_map_topk_to_slots_args& mutable_args() { return args_; }

 private:
  // A vector or a matrix in the block; cell (r, c) is element r * row_stride + c * column_stride.
  struct matrix {
    int region = -1;
    int element_bytes = 4;
    int64_t row_stride = 0;
    int64_t column_stride = 0;
  };
  matrix add_vector(const char* name, int64_t count, nsameta_dtype dtype = NSAMETA_INT32);
  matrix add_rows(const char* name, int64_t row_slack, int64_t offset_elements);
  void add_table();
  void store(const matrix& at, const std::vector<int64_t>& values, int64_t num_columns, memory_image* image) const;
  nsameta_tensor vector_tensor(const matrix& at, int64_t count) const;
  nsameta_tensor matrix_tensor(const matrix& at, int64_t num_rows, int64_t num_columns) const;
  void make_args();

  nsameta_context* context_;
  topk_case case_;
  device_block block_;
  matrix topk_, slots_, num_valid_, offset_, table_, pool_, owner_, cu_;
  nsameta_map_topk_to_slots_args args_{};
  uint32_t salt_ = 0;
};

}  // namespace nsameta::test
