#include "cli/samples.h"

#include <gtest/gtest.h>

#include "cli/text.h"

namespace nsameta::cli {
namespace {

TEST(samples, percentiles_are_values_that_occurred) {
  samples s;
  EXPECT_EQ(s.percentile(0.5), 0);
  for (int64_t v = 100; v >= 1; --v) s.add(v);
  EXPECT_EQ(s.percentile(0.5), 50);
  EXPECT_EQ(s.percentile(0.99), 99);
  EXPECT_EQ(s.percentile(1), 100);
  samples one;
  one.add(7);
  EXPECT_EQ(one.percentile(0.5), 7);
  EXPECT_EQ(one.percentile(1), 7);
}

TEST(text, groups_digits) {
  EXPECT_EQ(with_commas(0), "0");
  EXPECT_EQ(with_commas(999), "999");
  EXPECT_EQ(with_commas(1000), "1,000");
  EXPECT_EQ(with_commas(-123456), "-123,456");
  EXPECT_EQ(with_commas(1234567), "1,234,567");
}

}  // namespace
}  // namespace nsameta::cli
