#include "cli/synthetic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/support/random.h"

namespace nsameta::cli {
namespace {

// 40,000 draws: the sample median of these log-normals strays by 0.7 % (one standard deviation), so 5 % never fails.
TEST(synthetic, has_the_published_quantiles) {
  const auto t = make_synthetic_trace(40'000, test::seed());
  std::vector<int32_t> prompts;
  std::vector<int32_t> outputs;
  for (const auto& r : t.requests) {
    prompts.push_back(r.input_length);
    outputs.push_back(r.output_length);
  }
  std::sort(prompts.begin(), prompts.end());
  std::sort(outputs.begin(), outputs.end());
  const auto at = [](const std::vector<int32_t>& sorted, double p) {
    return static_cast<double>(sorted[static_cast<size_t>(p * static_cast<double>(sorted.size()))]);
  };
  EXPECT_NEAR(at(prompts, 0.5), kSyntheticPromptMedian, 0.05 * kSyntheticPromptMedian);
  EXPECT_NEAR(at(prompts, 0.9), kSyntheticPromptP90, 0.05 * kSyntheticPromptP90);
  EXPECT_EQ(prompts.back(), kSyntheticPromptMax);
  EXPECT_GE(prompts.front(), 1);
  EXPECT_NEAR(at(outputs, 0.5), kSyntheticOutputMedian, 0.05 * kSyntheticOutputMedian);
  EXPECT_EQ(outputs.back(), kSyntheticOutputMax);
  const double seconds = static_cast<double>(t.requests.back().arrival_us) / 1e6;
  EXPECT_NEAR(40'000 / seconds, kSyntheticRequestsPerSecond, 0.05 * kSyntheticRequestsPerSecond);
}

TEST(synthetic, depends_on_the_seed_alone) {
  const auto lengths = [](uint64_t seed) {
    std::vector<int32_t> all;
    for (const auto& r : make_synthetic_trace(100, seed).requests) all.push_back(r.input_length);
    return all;
  };
  EXPECT_EQ(lengths(1), lengths(1));
  EXPECT_NE(lengths(1), lengths(2));
}

}  // namespace
}  // namespace nsameta::cli
