// Tensors in the memory of a context that live as long as their owner.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "nsameta/nsameta.hpp"

namespace nsameta::bench {

class tensor_memory {
 public:
  explicit tensor_memory(const context& owner) : owner_(owner) {}

  // int32 cells that hold a value which no result has.
  nsameta_tensor vector(int64_t count);
  nsameta_tensor rows(int64_t num_rows, int64_t num_columns);
  // Fills the first `num_columns` cells of each row of a tensor (all of a vector) with that value.
  void spoil(const nsameta_tensor& tensor, int64_t num_columns = INT64_MAX);
  // As int32, whatever they were.
  nsameta_tensor upload(std::span<const int64_t> values);
  nsameta_tensor upload_rows(std::span<const int32_t> cells, int64_t num_columns);

  // Cells that differ from the expected ones, from `first` on.
  int64_t num_wrong(const nsameta_tensor& tensor, int64_t first, std::span<const int32_t> expected) const;

 private:
  int32_t* allocate(int64_t count);
  void fill(int32_t* cells, int64_t count);

  const context& owner_;
  std::vector<device_buffer> buffers_;
};

// Rows of a wide table of which a step uses the first columns alone. Sets of buffers that take turns lie side by side
// in them: as views they overlap, but no cell is written or read through two of them.
class shared_rows {
 public:
  struct view {
    nsameta_tensor tensor;
    int64_t first_column;  // where it lies in the rows
  };

  // num_live: columns that a set uses.
  shared_rows(const context& owner, int64_t num_rows, int64_t num_columns, int64_t num_live);
  // cells: what each row begins with, as long as all of them; empty: a value which no result has.
  view next(std::span<const int32_t> cells = {});

 private:
  tensor_memory memory_;
  int64_t num_rows_;
  int64_t num_columns_;
  int64_t num_live_;
  int64_t next_column_;
  nsameta_tensor block_{};
};

}  // namespace nsameta::bench
