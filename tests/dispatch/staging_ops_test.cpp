// Staged copies and slots against a "GPU" whose memory the host cannot touch: a run that reads or writes it other than
// by the copy functions crashes. The results are those of the CPU on host memory, gaps included.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <vector>

#include "nsameta/nsameta.hpp"

namespace {

constexpr nsameta_device kGpu{NSAMETA_DEVICE_CUDA, 1};
constexpr size_t kNumElements = 2048;

// Before any call of the library, which reads the variable once.
[[maybe_unused]] const int kIsSet = setenv("NSAMETA_BACKEND_DIR", NSAMETA_PLUGIN_ROOT "/fake_gpu", 1);

using run_fn = std::function<void(const nsameta::context& context, int32_t* base)>;

std::vector<int32_t> initial() {
  std::vector<int32_t> elements(kNumElements);
  for (size_t i = 0; i < elements.size(); ++i) elements[i] = static_cast<int32_t>(i);
  return elements;
}

std::vector<int32_t> run_on_host(const run_fn& run) {
  const nsameta::context context(nsameta::kCpuDevice, "cpu");
  auto elements = initial();
  run(context, elements.data());
  return elements;
}

std::vector<int32_t> run_staged(const run_fn& run) {
  const nsameta::context context(kGpu, "cpu");
  EXPECT_TRUE(context.is_staged());
  auto elements = initial();
  const size_t bytes = elements.size() * sizeof(int32_t);
  const nsameta::device_buffer buffer(context, bytes);
  context.copy_to_device(buffer.data(), elements.data(), bytes);
  run(context, buffer.as<int32_t>());
  context.copy_to_host(elements.data(), buffer.data(), bytes);
  return elements;
}

void expect_equal(const run_fn& run) {
  const auto expected = run_on_host(run);
  EXPECT_NE(expected, initial());
  EXPECT_EQ(run_staged(run), expected);
}

TEST(staging_ops, copies) {
  expect_equal([](const nsameta::context& context, int32_t* base) {
    const auto device = context.device();
    const auto rows = [&](int64_t first, int64_t row_stride, int64_t column_stride) {
      auto tensor = nsameta::make_tensor_2d(base + first, 5, 4, row_stride, device);
      tensor.strides[1] = column_stride;
      return tensor;
    };
    const std::vector<nsameta_copy_pair> pairs{
        {nsameta::make_tensor(base, 30, device), nsameta::make_tensor(base + 1000, 30, device)},
        {nsameta::make_tensor(base + 99, 30, device, -3), nsameta::make_tensor(base + 1100, 30, device, 2)},
        {rows(200, 9, 1), rows(1200, 16, 1)},   // gaps between rows
        {rows(200, 0, 1), rows(1204, 16, 1)},   // among the columns of the last
        {rows(300, 1, 7), rows(1208, 16, 2)},   // gaps between columns
        {rows(300, -8, 1), rows(1400, -4, 1)},  // backwards
        {rows(400, 4, 1), rows(1500, 1, 5)},    // transposed
    };
    context.copy_metadata(nsameta::copy_metadata_args(pairs));
  });
}

class slots_case {
 public:
  slots_case(const nsameta::context& context, int32_t* base) : base_(base), device_(context.device()) {
    args.topk_indices = nsameta::make_tensor_2d(base, 6, 8, 8, device_);  // holds 0 to 47
    args.slots = nsameta::make_tensor_2d(base + 1000, 6, 8, 11, device_);
    args.num_valid = vector(1200, 6);
  }
  nsameta_tensor vector(int64_t first, size_t size, int64_t stride = 1) const {
    return nsameta::make_tensor(base_ + first, size, device_, stride);
  }
  nsameta_tensor matrix(int64_t first, size_t num_rows, size_t num_columns, int64_t row_stride) const {
    return nsameta::make_tensor_2d(base_ + first, num_rows, num_columns, row_stride, device_);
  }

  nsameta::map_topk_to_slots_args args;

 private:
  int32_t* base_;
  nsameta_device device_;
};

TEST(staging_ops, slots_of_requests) {
  expect_equal([](const nsameta::context& context, int32_t* base) {
    slots_case c(context, base);
    c.args.req_to_token = c.matrix(100, 7, 48, 60);
    c.args.req_pool_indices = c.vector(1, 3, 2);  // rows 1, 3, 5
    c.args.cu_seqlens_q = c.vector(0, 4, 2);      // 0, 2, 4, 6
    context.map_topk_to_slots(c.args);
    nsameta::plan(context, c.args).run(nullptr, 5);
  });
}

TEST(staging_ops, slots_of_tokens_and_flattened) {
  for (const bool is_flattened : {false, true}) {
    expect_equal([&](const nsameta::context& context, int32_t* base) {
      slots_case c(context, base);
      c.args.offset = c.vector(3, 6, 0);
      if (is_flattened) {
        c.args.flattened = c.vector(200, 51, -1);
      } else {
        c.args.page_table = c.matrix(100, 6, 51, 70);
        c.args.page_table.strides[1] = 1;
      }
      context.map_topk_to_slots(c.args);
    });
  }
}

TEST(staging_ops, slots_in_place_without_a_table) {
  expect_equal([](const nsameta::context& context, int32_t* base) {
    slots_case c(context, base);
    c.args.slots = c.args.topk_indices;
    c.args.offset = c.vector(60, 6);
    context.map_topk_to_slots(c.args);
  });
}

TEST(staging_ops, faults_reach_the_context) {
  const nsameta::context context(kGpu, "cpu");
  auto elements = initial();
  const nsameta::device_buffer buffer(context, kNumElements * sizeof(int32_t));
  context.copy_to_device(buffer.data(), elements.data(), kNumElements * sizeof(int32_t));
  slots_case c(context, buffer.as<int32_t>());
  c.args.flattened = c.vector(200, 40);
  context.map_topk_to_slots(c.args);
  EXPECT_EQ(context.fault().check, NSAMETA_CHECK_TOPK_INDEX);
  EXPECT_EQ(context.fault().request_idx, 5);
  EXPECT_EQ(context.fault().value, 40);
}

}  // namespace
