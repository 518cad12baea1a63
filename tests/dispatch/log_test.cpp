#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "nsameta/nsameta.hpp"

namespace {

struct line {
  nsameta_log_level level;
  std::string text;
};

void keep(nsameta_log_level level, const char* message, void* user) {
  static_cast<std::vector<line>*>(user)->push_back({level, message});
}

class log_callback : public testing::Test {
 protected:
  ~log_callback() override { nsameta_set_log_callback(nullptr, nullptr, NSAMETA_LOG_OFF); }
  std::vector<line> lines_;
};

TEST_F(log_callback, gets_the_choice_of_a_backend) {
  nsameta_set_log_callback(keep, &lines_, NSAMETA_LOG_DEBUG);
  const nsameta::context context(nsameta::kCpuDevice, "cpu");
  ASSERT_FALSE(lines_.empty());
  EXPECT_EQ(lines_.back().text, "backend cpu for cpu:0: backend argument \"cpu\"");
  EXPECT_EQ(lines_.back().level, NSAMETA_LOG_DEBUG);  // the choice is what it would have been anyway
}

TEST_F(log_callback, gets_nothing_above_its_level_and_nothing_after_it_was_removed) {
  nsameta_set_log_callback(keep, &lines_, NSAMETA_LOG_WARN);
  {
    const nsameta::context context(nsameta::kCpuDevice, "cpu");
  }
  EXPECT_TRUE(lines_.empty());
  nsameta_set_log_callback(keep, &lines_, NSAMETA_LOG_DEBUG);
  nsameta_set_log_callback(nullptr, nullptr, NSAMETA_LOG_OFF);
  {
    const nsameta::context context(nsameta::kCpuDevice, "cpu");
  }
  EXPECT_TRUE(lines_.empty());
}

TEST_F(log_callback, may_call_the_library) {
  const auto nested = [](nsameta_log_level, const char*, void* user) {
    nsameta_set_log_callback(nullptr, nullptr, NSAMETA_LOG_OFF);
    *static_cast<bool*>(user) = nsameta_num_backends() > 0;
  };
  bool was_called = false;
  nsameta_set_log_callback(nested, &was_called, NSAMETA_LOG_DEBUG);
  const nsameta::context context(nsameta::kCpuDevice, "cpu");
  EXPECT_TRUE(was_called);
}

TEST_F(log_callback, lines_of_many_threads_stay_whole) {
  nsameta_set_log_callback(keep, &lines_, NSAMETA_LOG_DEBUG);
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([] {
      for (int k = 0; k < 50; ++k) const nsameta::context context(nsameta::kCpuDevice, "cpu");
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_GE(lines_.size(), 400U);
}

}  // namespace
