// nsameta.hpp: errors become exceptions, handles move, views say what they were given.
#include <gtest/gtest.h>

#include <optional>
#include <type_traits>
#include <vector>

#include "nsameta/nsameta.hpp"

namespace {

template <class T>
constexpr bool kMovesOnly = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> &&
                            !std::is_copy_constructible_v<T> && std::is_nothrow_destructible_v<T>;
static_assert(kMovesOnly<nsameta::context> && kMovesOnly<nsameta::plan> && kMovesOnly<nsameta::stream> &&
              kMovesOnly<nsameta::device_buffer> && kMovesOnly<nsameta::graph>);

TEST(wrapper, failures_throw_status_and_message) {
  try {
    const nsameta::context context(nsameta::kCpuDevice, "nonsense");
    FAIL() << "made a context";
  } catch (const nsameta::error& e) {
    EXPECT_EQ(e.status(), NSAMETA_BACKEND_UNAVAILABLE);
    EXPECT_STREQ(e.what(), nsameta_last_error_message());
  }
  EXPECT_THROW(nsameta::select({NSAMETA_DEVICE_CPU, 9}), nsameta::error);
}

TEST(wrapper, backends_list_devices) {
  for (const auto& backend : nsameta::backends()) {
    EXPECT_EQ(backend.usable, backend.reason.empty()) << backend.name;
    EXPECT_EQ(backend.usable, !backend.devices.empty()) << backend.name;
    if (backend.name == "cpu") {
      EXPECT_TRUE(backend.usable);
      EXPECT_GT(backend.devices.front().num_multiprocessors, 0);
    }
  }
  EXPECT_EQ(nsameta::select(nsameta::kCpuDevice).backend, "cpu");
  EXPECT_EQ(nsameta::select(nsameta::kCpuDevice, "nonsense").backend, "");
}

TEST(wrapper, views) {
  const std::vector<int64_t> wide(6);
  const nsameta_tensor strided = nsameta::make_tensor(wide.data(), 3, nsameta::kCpuDevice, 2);
  EXPECT_EQ(strided.dtype, NSAMETA_INT64);
  EXPECT_EQ(strided.ndim, 1);
  EXPECT_EQ(strided.shape[0], 3);
  EXPECT_EQ(strided.strides[0], 2);
  std::vector<int32_t> cells(20);
  const nsameta_tensor rows = nsameta::make_tensor_2d(cells.data(), 4, 3, 5, {NSAMETA_DEVICE_CUDA, 1});
  EXPECT_EQ(rows.dtype, NSAMETA_INT32);
  EXPECT_EQ(rows.ndim, 2);
  EXPECT_EQ(rows.shape[1], 3);
  EXPECT_EQ(rows.strides[0], 5);
  EXPECT_EQ(rows.strides[1], 1);
  EXPECT_EQ(rows.device.id, 1);
  const nsameta::build_metadata_args args;
  EXPECT_EQ(args.struct_size, sizeof(nsameta_build_metadata_args));
  EXPECT_EQ(args.batch, -1);
  EXPECT_EQ(args.kpool, 1);
}

TEST(wrapper, moved_handles_work_on) {
  nsameta::context first(nsameta::kCpuDevice, "cpu");
  nsameta::device_buffer buffer(first, 64);
  const nsameta::context context = std::move(first);
  const nsameta::device_buffer moved = std::move(buffer);
  EXPECT_EQ(moved.bytes(), 64U);
  EXPECT_EQ(buffer.bytes(), 0U);  // NOLINT(bugprone-use-after-move): what is left is defined

  const std::vector<int32_t> lens{3, 4};
  std::vector<int32_t> cu(3);
  nsameta::build_metadata_args args;
  args.topk = 1;
  args.seq_lens = nsameta::make_tensor(lens.data(), lens.size());
  args.out.cu_seqlens_k = nsameta::make_tensor(cu.data(), cu.size());
  std::optional<nsameta::plan> plan(std::in_place, context, args);
  nsameta::plan other = std::move(*plan);
  plan.reset();
  other.run();
  EXPECT_EQ(cu, (std::vector<int32_t>{0, 3, 7}));
}

TEST(wrapper, copies_by_call_and_by_plan) {
  const nsameta::context context(nsameta::kCpuDevice, "cpu");
  std::vector<int32_t> from{1, 2, 3};
  std::vector<int32_t> to(3);
  const std::vector<nsameta_copy_pair> pairs{
      {nsameta::make_tensor(from.data(), 3), nsameta::make_tensor(to.data(), 3)}};
  const nsameta::copy_metadata_args args(pairs);
  context.copy_metadata(args);
  EXPECT_EQ(to, from);
  nsameta::plan plan(context, args);
  from[1] = 7;
  plan.run();
  EXPECT_EQ(to, from);
}

TEST(wrapper, maps_by_call_and_by_plan) {
  const nsameta::context context(nsameta::kCpuDevice, "cpu");
  const std::vector<int32_t> topk{2, -1, 0, 1};
  const std::vector<int32_t> flattened{30, 31, 32};
  std::vector<int32_t> slots(4);
  nsameta::map_topk_to_slots_args args;
  args.topk_indices = nsameta::make_tensor_2d(topk.data(), 2, 2, 2);
  args.flattened = nsameta::make_tensor(flattened.data(), flattened.size());
  args.slots = nsameta::make_tensor_2d(slots.data(), 2, 2, 2);
  context.map_topk_to_slots(args);
  EXPECT_EQ(slots, (std::vector<int32_t>{32, -1, 30, 31}));
  slots.assign(4, 0);
  nsameta::plan(context, args).run(nullptr, 1);
  EXPECT_EQ(slots, (std::vector<int32_t>{32, -1, 0, 0}));
}

TEST(wrapper, presets) {
  const nsameta::context context(nsameta::kCpuDevice, "cpu");
  const std::vector<int32_t> extend{2};
  const std::vector<int32_t> lens{9};
  std::vector<int32_t> out(6);
  const auto view = [](auto& values, size_t offset, size_t size) {
    return nsameta::make_tensor(values.data() + offset, size);
  };
  const auto total = view(out, 4, 1);
  nsameta::fill_draft_extend_metadata_fused_simple(context, view(extend, 0, 1), view(lens, 0, 1), 4, view(out, 0, 2),
                                                   view(out, 2, 2));
  nsameta::fill_draft_extend_metadata_inplace(context, view(extend, 0, 1), view(lens, 0, 1), 4, view(out, 0, 2),
                                              view(out, 2, 2), &total);
  EXPECT_EQ(out, (std::vector<int32_t>{8, 9, 4, 4, 2, 0}));
  std::vector<int32_t> cache(3);
  nsameta::fill_draft_extend_metadata_fused(context, view(extend, 0, 1), view(lens, 0, 1), 4, view(out, 0, 2),
                                            view(out, 2, 2), view(cache, 0, 1), view(cache, 1, 2));
  EXPECT_EQ(cache, (std::vector<int32_t>{9, 0, 9}));
}

}  // namespace
