#include "tests/support/copy_case.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace nsameta::test {
namespace {

int bytes_of(nsameta_dtype dtype) { return dtype == NSAMETA_INT64 ? 8 : 4; }

// Elements that the cells span; `layout->first` becomes the place of cell (0, 0) among them.
int64_t span_of(int64_t num_rows, int64_t num_columns, reference::cell_layout* layout) {
  if (num_rows * num_columns == 0) return 0;
  const int64_t rows = (num_rows - 1) * layout->row_stride;
  const int64_t columns = (num_columns - 1) * layout->column_stride;
  layout->first = std::max<int64_t>(-rows, 0) + std::max<int64_t>(-columns, 0);
  return std::abs(rows) + std::abs(columns) + 1;
}

}  // namespace

int copy_case::add_buffer(int64_t num_elements, int64_t offset_elements, nsameta_dtype dtype) {
  buffers.push_back({dtype, num_elements, offset_elements});
  return static_cast<int>(buffers.size()) - 1;
}

void copy_case::add_pair(int64_t num_rows, int64_t num_columns, reference::cell_layout from, reference::cell_layout to,
                         nsameta_dtype dtype, int64_t from_offset, int64_t to_offset) {
  const int64_t rows = num_rows == kOneDimension ? 1 : num_rows;
  const int64_t from_elements = span_of(rows, num_columns, &from);
  const int64_t to_elements = span_of(rows, num_columns, &to);
  const int source = add_buffer(from_elements, from_offset, dtype);
  const int destination = add_buffer(to_elements, to_offset, dtype);
  pairs.push_back({num_rows, num_columns, {source, from}, {destination, to}});
}

bound_copy::bound_copy(nsameta_context* context, void* stream, copy_case c, device_memory* memory)
    : context_(context), case_(std::move(c)), block_(context, stream, memory) {
  for (size_t i = 0; i < case_.buffers.size(); ++i) {
    const auto& b = case_.buffers[i];
    block_.image().add("buffer " + std::to_string(i), bytes_of(b.dtype), b.num_elements, b.offset_elements);
  }
  if (case_.buffers.empty()) block_.image().add("nothing", 4, 0, 0);
  block_.allocate();
  for (const auto& pair : case_.pairs) {
    pairs_.push_back({tensor_of(pair, pair.source), tensor_of(pair, pair.destination)});
  }
  nsameta_copy_metadata_args_init(&args_);
  args_.num_pairs = static_cast<int32_t>(pairs_.size());
  args_.pairs = pairs_.data();
}

nsameta_tensor bound_copy::tensor_of(const copy_pair& pair, const copy_view& view) const {
  const auto& buffer = case_.buffers[static_cast<size_t>(view.buffer)];
  nsameta_tensor tensor{};
  tensor.data = block_.address(view.buffer, view.layout.first, bytes_of(buffer.dtype));
  tensor.dtype = buffer.dtype;
  tensor.device = nsameta_context_device(context_);
  tensor.ndim = pair.num_rows == kOneDimension ? 1 : 2;
  const int inner = tensor.ndim - 1;
  tensor.shape[0] = pair.num_rows;
  tensor.strides[0] = view.layout.row_stride;
  tensor.shape[inner] = pair.num_columns;
  tensor.strides[inner] = view.layout.column_stride;
  return tensor;
}

void bound_copy::reset() {
  block_.image().poison(++salt_ * 0x01000193U);
  block_.upload();
}

testing::AssertionResult bound_copy::holds(int64_t) {
  memory_image expected = block_.image();
  for (const auto& pair : case_.pairs) {
    const auto& from = case_.buffers[static_cast<size_t>(pair.source.buffer)];
    const auto& to = case_.buffers[static_cast<size_t>(pair.destination.buffer)];
    const int width = bytes_of(from.dtype);
    const auto source = read_elements(block_.image(), pair.source.buffer, width, from.num_elements);
    auto destination = read_elements(expected, pair.destination.buffer, width, to.num_elements);
    const int64_t rows = pair.num_rows == kOneDimension ? 1 : pair.num_rows;
    reference::copy_metadata(source, pair.source.layout, rows, pair.num_columns, pair.destination.layout, &destination);
    for (int64_t i = 0; i < to.num_elements; ++i) {
      expected.set(pair.destination.buffer, i, destination[static_cast<size_t>(i)]);
    }
  }
  auto result = block_.equals(expected);
  return result ? take_fault(context_, {}) : result;
}

}  // namespace nsameta::test
