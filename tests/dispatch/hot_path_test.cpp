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
  args.seqlens_expanded = nsameta::make_tensor(expanded.data(), expanded.size());
  args.cu_seqlens_k = nsameta::make_tensor(cu.data(), cu.size());

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

}  // namespace
