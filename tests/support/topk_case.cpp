#include "tests/support/topk_case.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace nsameta::test {
namespace {

using reference::slot_table;

std::vector<int64_t> draw(random_source& random, int64_t count, int64_t low, int64_t high) {
  std::vector<int64_t> values(static_cast<size_t>(count));
  for (auto& value : values) value = random.in(low, high);
  return values;
}

// A request for every three tokens or so, some without any.
void draw_requests(random_source& random, topk_case* c) {
  auto& in = c->inputs;
  in.cu_seqlens_q = {0};
  while (in.cu_seqlens_q.back() < c->num_tokens) {
    in.cu_seqlens_q.push_back(std::min(in.cu_seqlens_q.back() + random.in(0, 6), c->num_tokens));
  }
  const int64_t num_requests = std::ssize(in.cu_seqlens_q) - 1;
  in.table_rows = num_requests + 3;
  in.req_pool_indices = draw(random, num_requests, 0, in.table_rows - 1);
}

}  // namespace

topk_case random_topk_case(random_source& random, slot_table kind, int64_t num_tokens, int64_t num_topk,
                           int64_t context) {
  topk_case c;
  c.num_tokens = num_tokens;
  auto& in = c.inputs;
  in.kind = kind;
  in.num_topk = num_topk;
  in.topk_indices = draw(random, num_tokens * num_topk, 0, context - 1);
  for (auto& x : in.topk_indices) {
    if (random.chance(25)) x = -1;
  }
  in.table_columns = kind == slot_table::none ? 0 : context;
  if (kind == slot_table::req_to_token) draw_requests(random, &c);
  if (kind == slot_table::page_table) in.table_rows = num_tokens + 1;
  if (kind == slot_table::flattened) in.table_rows = 1;
  in.table = draw(random, in.table_rows * in.table_columns, -1, 1 << 30);
  return c;
}

bound_topk::bound_topk(nsameta_context* context, void* stream, topk_case c, device_memory* memory)
    : context_(context), case_(std::move(c)), block_(context, stream, memory) {
  const auto& in = case_.inputs;
  topk_ = add_rows("topk_indices", case_.topk_row_slack, case_.topk_offset_elements);
  slots_ = case_.is_in_place ? topk_ : add_rows("slots", case_.slots_row_slack, case_.slots_offset_elements);
  if (case_.has_num_valid) {
    num_valid_ = {block_.image().add("num_valid", 4, case_.num_tokens, 0), 4, 1, 1};
  }
  if (!in.offset.empty()) offset_ = add_vector("offset", std::ssize(in.offset));
  if (!in.token_to_batch.empty()) owner_ = add_vector("token_to_batch", std::ssize(in.token_to_batch));
  if (in.kind == slot_table::req_to_token) {
    pool_ = add_vector("req_pool_indices", std::ssize(in.req_pool_indices), case_.pool_dtype);
    if (in.token_to_batch.empty()) cu_ = add_vector("cu_seqlens_q", std::ssize(in.cu_seqlens_q));
  }
  if (in.kind != slot_table::none) add_table();
  block_.allocate();
  make_args();
}

bound_topk::matrix bound_topk::add_vector(const char* name, int64_t count, nsameta_dtype dtype) {
  const int width = dtype == NSAMETA_INT64 ? 8 : 4;
  const int64_t stride = case_.vector_stride;
  return {block_.image().add(name, width, (count + case_.vector_slack) * std::max<int64_t>(stride, 1), 0), width,
          stride, 1};
}

bound_topk::matrix bound_topk::add_rows(const char* name, int64_t row_slack, int64_t offset_elements) {
  const int64_t stride = case_.inputs.num_topk + row_slack;
  return {block_.image().add(name, 4, case_.num_tokens * stride, offset_elements), 4, stride, 1};
}

void bound_topk::add_table() {
  const auto& in = case_.inputs;
  const int64_t rows = in.table_rows;
  const int64_t columns = in.table_columns;
  table_ = {-1, 4, columns + case_.table_row_slack, 1};
  if (case_.is_table_transposed) table_ = {-1, 4, 1, rows + case_.table_row_slack};
  const int64_t elements = case_.is_table_transposed ? columns * table_.column_stride : rows * table_.row_stride;
  table_.region = block_.image().add("table", 4, elements, 0);
}

nsameta_tensor bound_topk::vector_tensor(const matrix& at, int64_t count) const {
  nsameta_tensor tensor{};
  if (at.region < 0) return tensor;
  tensor.data = block_.address(at.region, 0, at.element_bytes);
  tensor.shape[0] = count;
  tensor.strides[0] = at.row_stride;
  tensor.ndim = 1;
  tensor.dtype = at.element_bytes == 8 ? NSAMETA_INT64 : NSAMETA_INT32;
  tensor.device = nsameta_context_device(context_);
  return tensor;
}

nsameta_tensor bound_topk::matrix_tensor(const matrix& at, int64_t num_rows, int64_t num_columns) const {
  nsameta_tensor tensor = vector_tensor(at, num_rows);
  if (at.region < 0) return tensor;
  tensor.shape[1] = num_columns;
  tensor.strides[1] = at.column_stride;
  tensor.ndim = 2;
  return tensor;
}

void bound_topk::make_args() {
  const auto& in = case_.inputs;
  nsameta_map_topk_to_slots_args_init(&args_);
  args_.topk_indices = matrix_tensor(topk_, case_.num_tokens, in.num_topk);
  args_.slots = matrix_tensor(slots_, case_.num_tokens, in.num_topk);
  args_.num_valid = vector_tensor(num_valid_, case_.num_tokens);
  args_.offset = vector_tensor(offset_, std::ssize(in.offset));
  args_.req_pool_indices = vector_tensor(pool_, std::ssize(in.req_pool_indices));
  args_.token_to_batch = vector_tensor(owner_, std::ssize(in.token_to_batch));
  args_.cu_seqlens_q = vector_tensor(cu_, std::ssize(in.cu_seqlens_q));
  const nsameta_tensor table = matrix_tensor(table_, in.table_rows, in.table_columns);
  if (in.kind == slot_table::req_to_token) args_.req_to_token = table;
  if (in.kind == slot_table::page_table) args_.page_table = table;
  if (in.kind == slot_table::flattened) {
    args_.flattened = vector_tensor(table_, in.table_columns);
    args_.flattened.strides[0] = table_.column_stride;
  }
}

void bound_topk::store(const matrix& at, const std::vector<int64_t>& values, int64_t num_columns,
                       memory_image* image) const {
  if (at.region < 0) return;
  for (int64_t i = 0; i < std::ssize(values); ++i) {
    const int64_t place = i / num_columns * at.row_stride + i % num_columns * at.column_stride;
    image->set(at.region, place, values[static_cast<size_t>(i)]);
  }
}

void bound_topk::reset() {
  auto& in = case_.inputs;
  auto& image = block_.image();
  // Other indices of the same kind: a replay that still used the old ones would show.
  std::reverse(in.topk_indices.begin(), in.topk_indices.end());
  image.poison(++salt_ * 0x01000193U);
  store(topk_, in.topk_indices, std::max<int64_t>(in.num_topk, 1), &image);
  store(offset_, in.offset, 1, &image);
  store(pool_, in.req_pool_indices, 1, &image);
  store(owner_, in.token_to_batch, 1, &image);
  store(cu_, in.cu_seqlens_q, 1, &image);
  store(table_, in.table, std::max<int64_t>(in.table_columns, 1), &image);
  block_.upload();
}

testing::AssertionResult bound_topk::holds(int64_t count) {
  const auto expected = reference::map_topk_to_slots(case_.inputs, count < 0 ? case_.num_tokens : count);
  memory_image image = block_.image();
  if (case_.inputs.num_topk > 0) {
    store(slots_, {expected.slots.begin(), expected.slots.end()}, case_.inputs.num_topk, &image);
    store(num_valid_, {expected.num_valid.begin(), expected.num_valid.end()}, 1, &image);
  }
  auto result = block_.equals(image);
  if (!result) return result;
  std::vector<nsameta_fault> faults;
  for (const auto& fault : expected.faults) faults.push_back({fault.check, fault.request_idx, fault.value});
  return take_fault(context_, faults);
}

}  // namespace nsameta::test
