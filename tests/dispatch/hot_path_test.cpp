// plan_run must not allocate: every operator new of this program is counted.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <vector>

#include "nsameta/nsameta.hpp"

namespace {

std::atomic<int64_t> num_allocations{0};

void* allocate(size_t bytes, size_t alignment) {
  num_allocations.fetch_add(1, std::memory_order_relaxed);
  void* data = std::aligned_alloc(alignment, (bytes / alignment + 1) * alignment);
  if (data == nullptr) throw std::bad_alloc();
  return data;
}

}  // namespace

void* operator new(size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
void* operator new[](size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
void* operator new(size_t bytes, std::align_val_t alignment) { return allocate(bytes, static_cast<size_t>(alignment)); }
void operator delete(void* data) noexcept { std::free(data); }
void operator delete[](void* data) noexcept { std::free(data); }
void operator delete(void* data, size_t) noexcept { std::free(data); }
void operator delete[](void* data, size_t) noexcept { std::free(data); }
void operator delete(void* data, std::align_val_t) noexcept { std::free(data); }
void operator delete(void* data, size_t, std::align_val_t) noexcept { std::free(data); }

namespace {

TEST(hot_path, neither_plans_nor_one_shot_calls_allocate) {
  const nsameta::context context(nsameta::kCpuDevice, "cpu");
  const std::vector<int32_t> seq_lens(32, 5000);
  std::vector<int32_t> expanded(128);
  std::vector<int32_t> cu(33);
  nsameta::build_metadata_args args;
  args.mode = NSAMETA_MODE_TARGET_VERIFY;
  args.tokens_per_request = 4;
  args.topk = 2048;
  args.seq_lens = nsameta::make_tensor(seq_lens.data(), seq_lens.size());
  args.out.seqlens_expanded = nsameta::make_tensor(expanded.data(), expanded.size());
  args.out.cu_seqlens_k = nsameta::make_tensor(cu.data(), cu.size());

  const int64_t before_create = num_allocations;
  nsameta::plan plan(context, args);
  ASSERT_GT(num_allocations, before_create) << "the counter does not count";
  plan.run();

  const int64_t before_runs = num_allocations;
  for (int32_t batch = 0; batch <= 32; ++batch) plan.run(nullptr, batch, int64_t{4} * batch, 5004);
  EXPECT_EQ(nsameta_plan_run(plan.get(), 33, -1, -1, nullptr), NSAMETA_INVALID_ARGUMENT);
  context.build_metadata(args);
  EXPECT_EQ(num_allocations, before_runs);
  EXPECT_EQ(expanded.back(), 5004);
  EXPECT_EQ(context.num_launches(), 35U);
}

TEST(hot_path, copies_and_slots_do_not_allocate) {
  const nsameta::context context(nsameta::kCpuDevice, "cpu");
  const std::vector<int32_t> from(64, 3);
  std::vector<int32_t> to(64);
  std::vector<int32_t> slots(64);
  const std::vector<nsameta_copy_pair> pairs{
      {nsameta::make_tensor(from.data(), 64), nsameta::make_tensor(to.data(), 64)}};
  const nsameta::copy_metadata_args copy(pairs);
  nsameta::map_topk_to_slots_args map;
  map.topk_indices = nsameta::make_tensor_2d(from.data(), 4, 16, 16);
  map.flattened = nsameta::make_tensor(from.data(), 64);
  map.slots = nsameta::make_tensor_2d(slots.data(), 4, 16, 16);
  nsameta::plan copy_plan(context, copy);
  nsameta::plan map_plan(context, map);

  const int64_t before_runs = num_allocations;
  copy_plan.run();
  context.copy_metadata(copy);
  for (int32_t tokens = -1; tokens <= 4; ++tokens) map_plan.run(nullptr, tokens);
  context.map_topk_to_slots(map);
  EXPECT_EQ(num_allocations, before_runs);
  EXPECT_EQ(to, from);
  EXPECT_EQ(slots, from);
}

}  // namespace
