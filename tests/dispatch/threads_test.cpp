// One process, many threads: what may be shared is, and ThreadSanitizer looks on in the tsan preset.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "nsameta/nsameta.h"

namespace {

constexpr int kNumThreads = 8;
constexpr int kNumRounds = 40;
constexpr nsameta_device kCpu = {NSAMETA_DEVICE_CPU, 0};

// Each thread begins when all are there.
void run_on_threads(const std::function<void(int thread_idx)>& work) {
  std::atomic<int> num_ready{0};
  std::vector<std::thread> threads;
  threads.reserve(kNumThreads);
  for (int i = 0; i < kNumThreads; ++i) {
    threads.emplace_back([&, i] {
      ++num_ready;
      while (num_ready < kNumThreads) std::this_thread::yield();
      work(i);
    });
  }
  for (auto& thread : threads) thread.join();
}

// A batch of one thread: its lengths and where their sums go.
struct batch {
  std::array<int32_t, 3> seq_lens{};
  std::array<int32_t, 4> sums{};
  nsameta_build_metadata_args args{};

  explicit batch(int32_t first) : seq_lens{first, 2, 3} {
    nsameta_build_metadata_args_init(&args);
    args.topk = 64;
    args.seq_lens = {seq_lens.data(), {3, 0}, {1, 0}, 1, NSAMETA_INT32, kCpu};
    args.out.cu_seqlens_k = {sums.data(), {4, 0}, {1, 0}, 1, NSAMETA_INT32, kCpu};
  }
  bool is_right() const { return sums == std::array{0, seq_lens[0], seq_lens[0] + 2, seq_lens[0] + 5}; }
};

TEST(threads, backends_are_loaded_once) {
  std::array<int32_t, kNumThreads> counts{};
  run_on_threads([&](int i) {
    nsameta_selection selection{};
    if (nsameta_select_backend(kCpu, nullptr, &selection) == NSAMETA_OK) {
      counts[static_cast<size_t>(i)] = nsameta_num_backends();
    }
  });
  for (const int32_t count : counts) EXPECT_EQ(count, counts[0]);
  EXPECT_GT(counts[0], 0);
}

TEST(threads, one_context_serves_all) {
  nsameta_context* context = nullptr;
  ASSERT_EQ(nsameta_context_create(kCpu, "cpu", &context), NSAMETA_OK) << nsameta_last_error_message();
  std::atomic<int> num_wrong{0};
  run_on_threads([&](int i) {
    batch b(100 * i);
    nsameta_plan* plan = nullptr;
    if (nsameta_plan_create(context, NSAMETA_OP_BUILD_METADATA, &b.args, &plan) != NSAMETA_OK) ++num_wrong;
    for (int round = 0; round < kNumRounds; ++round) {
      b.seq_lens[0] = 100 * i + round;
      const auto status = round % 2 == 0 ? nsameta_build_metadata(context, &b.args, nullptr)
                                         : nsameta_plan_run(plan, -1, -1, -1, nullptr);
      nsameta_fault fault{};
      if (status != NSAMETA_OK || !b.is_right()) ++num_wrong;
      if (nsameta_context_error(context, &fault) != NSAMETA_OK || fault.check != NSAMETA_CHECK_NONE) ++num_wrong;
    }
    nsameta_plan_destroy(plan);
  });
  EXPECT_EQ(num_wrong, 0);
  EXPECT_EQ(nsameta_context_num_launches(context), uint64_t{kNumThreads} * kNumRounds);
  nsameta_context_destroy(context);
}

TEST(threads, faults_of_many_leave_one_of_them) {
  nsameta_context* context = nullptr;
  ASSERT_EQ(nsameta_context_create(kCpu, "cpu", &context), NSAMETA_OK) << nsameta_last_error_message();
  run_on_threads([&](int i) {
    batch b(-1 - i);
    EXPECT_EQ(nsameta_build_metadata(context, &b.args, nullptr), NSAMETA_OK);
  });
  nsameta_fault fault{};
  ASSERT_EQ(nsameta_context_error(context, &fault), NSAMETA_OK);
  EXPECT_EQ(fault.check, NSAMETA_CHECK_NEGATIVE_KV);
  EXPECT_EQ(fault.request_idx, 0);
  EXPECT_LE(fault.value, -1);
  EXPECT_GE(fault.value, -kNumThreads);
  nsameta_context_destroy(context);
}

TEST(threads, messages_are_the_threads_own) {
  std::atomic<int> num_wrong{0};
  run_on_threads([&](int i) {
    const std::string name = "backend" + std::to_string(i);
    for (int round = 0; round < kNumRounds; ++round) {
      nsameta_context* context = nullptr;
      const auto status = nsameta_context_create(kCpu, name.c_str(), &context);
      const std::string message = nsameta_last_error_message();
      if (status != NSAMETA_BACKEND_UNAVAILABLE || message.find(name) == std::string::npos) ++num_wrong;
    }
  });
  EXPECT_EQ(num_wrong, 0);
}

TEST(threads, the_log_may_change_hands) {
  std::atomic<int> num_messages{0};
  const auto count = [](nsameta_log_level, const char*, void* user) { ++*static_cast<std::atomic<int>*>(user); };
  run_on_threads([&](int i) {
    for (int round = 0; round < kNumRounds; ++round) {
      if (i == 0) nsameta_set_log_callback(round % 2 == 0 ? +count : nullptr, &num_messages, NSAMETA_LOG_DEBUG);
      nsameta_context* context = nullptr;
      EXPECT_EQ(nsameta_context_create(kCpu, "cpu", &context), NSAMETA_OK);
      nsameta_context_destroy(context);
    }
  });
  nsameta_set_log_callback(nullptr, nullptr, NSAMETA_LOG_OFF);
}

}  // namespace
