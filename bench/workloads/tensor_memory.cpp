#include "bench/workloads/tensor_memory.h"

#include <algorithm>

namespace nsameta::bench {
namespace {

constexpr int32_t kPoison = -0x5a5a5a5b;

}  // namespace

int32_t* tensor_memory::allocate(int64_t count) {
  const auto num_cells = static_cast<size_t>(std::max<int64_t>(count, 1));
  return buffers_.emplace_back(owner_, num_cells * sizeof(int32_t)).as<int32_t>();
}

void tensor_memory::fill(int32_t* cells, int64_t count) {
  static const std::vector<int32_t> poison(size_t{1} << 22, kPoison);
  const auto num_poison = static_cast<int64_t>(poison.size());
  for (int64_t first = 0; first < count; first += num_poison) {
    const auto num_cells = static_cast<size_t>(std::min(num_poison, count - first));
    owner_.copy_to_device(cells + first, poison.data(), num_cells * sizeof(int32_t));
  }
}

nsameta_tensor tensor_memory::vector(int64_t count) {
  int32_t* cells = allocate(count);
  fill(cells, count);
  return make_tensor(cells, static_cast<size_t>(count), owner_.device());
}

void tensor_memory::spoil(const nsameta_tensor& tensor, int64_t num_columns) {
  auto* const cells = static_cast<int32_t*>(tensor.data);
  if (tensor.ndim == 1) return fill(cells, tensor.shape[0]);
  for (int64_t row = 0; row < tensor.shape[0]; ++row) {
    fill(cells + row * tensor.strides[0], std::min(tensor.shape[1], num_columns));
  }
}

nsameta_tensor tensor_memory::rows(int64_t num_rows, int64_t num_columns) {
  const nsameta_tensor cells = vector(num_rows * num_columns);
  return make_tensor_2d(static_cast<int32_t*>(cells.data), static_cast<size_t>(num_rows),
                        static_cast<size_t>(num_columns), num_columns, owner_.device());
}

nsameta_tensor tensor_memory::upload(std::span<const int64_t> values) {
  std::vector<int32_t> narrow;
  narrow.reserve(values.size());
  for (const int64_t value : values) narrow.push_back(static_cast<int32_t>(value));
  int32_t* cells = allocate(static_cast<int64_t>(narrow.size()));
  owner_.copy_to_device(cells, narrow.data(), narrow.size() * sizeof(int32_t));
  return make_tensor(cells, narrow.size(), owner_.device());
}

nsameta_tensor tensor_memory::upload_rows(std::span<const int32_t> cells, int64_t num_columns) {
  int32_t* data = allocate(static_cast<int64_t>(cells.size()));
  owner_.copy_to_device(data, cells.data(), cells.size_bytes());
  return make_tensor_2d(data, cells.size() / static_cast<size_t>(num_columns), static_cast<size_t>(num_columns),
                        num_columns, owner_.device());
}

int64_t tensor_memory::num_wrong(const nsameta_tensor& tensor, int64_t first, std::span<const int32_t> expected) const {
  std::vector<int32_t> got(expected.size());
  owner_.copy_to_host(got.data(), static_cast<const int32_t*>(tensor.data) + first, expected.size_bytes());
  int64_t wrong = 0;
  for (size_t i = 0; i < got.size(); ++i) wrong += got[i] != expected[i] ? 1 : 0;
  return wrong;
}

shared_rows::shared_rows(const context& owner, int64_t num_rows, int64_t num_columns, int64_t num_live)
    : memory_(owner), num_rows_(num_rows), num_columns_(num_columns), num_live_(num_live), next_column_(num_columns) {}

shared_rows::view shared_rows::next(std::span<const int32_t> cells) {
  if (next_column_ + num_live_ > num_columns_) {
    // One row more: the view that begins last ends behind the others.
    block_ = cells.empty() ? memory_.rows(num_rows_ + 1, num_columns_) : memory_.upload_rows(cells, num_columns_);
    next_column_ = 0;
  }
  view made{block_, next_column_};
  made.tensor.data = static_cast<int32_t*>(block_.data) + next_column_;
  made.tensor.shape[0] = num_rows_;
  next_column_ += num_live_;
  return made;
}

}  // namespace nsameta::bench
