// Runs the tests, after a line on the seed and one on each execution. Exit status: 0 all passed, 1 a failure or no test
// selected, 77 every selected test was skipped.
#include <gtest/gtest.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/support/executions.h"
#include "tests/support/random.h"

namespace {

constexpr int kAllSkipped = 77;

void print_header() {
  std::printf("NSAMETA_TEST_SEED=%" PRIu64 "\n", nsameta::test::seed());
  // For backends, which are loaded next: emulated GPUs draw the order of their threads.
  setenv("NSAMETA_TEST_SEED", std::to_string(nsameta::test::seed()).c_str(), 1);
  for (const auto& e : nsameta::test::executions()) {
    std::printf("execution %-12s %s\n", e.name.c_str(), e.skip_reason.empty() ? "runs" : e.skip_reason.c_str());
  }
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const auto& unit_test = *testing::UnitTest::GetInstance();
  if (testing::GTEST_FLAG(list_tests)) return RUN_ALL_TESTS();
  print_header();
  if (const auto unknown = nsameta::test::unknown_required_backends(); !unknown.empty()) {
    std::fprintf(stderr, "NSAMETA_REQUIRE_BACKENDS names '%s', which is no backend\n", unknown.front().c_str());
    return 1;
  }
  if (RUN_ALL_TESTS() != 0) return 1;
  if (unit_test.test_to_run_count() == 0) {
    std::fprintf(stderr, "no test matches '%s'\n", testing::GTEST_FLAG(filter).c_str());
    return 1;
  }
  return unit_test.successful_test_count() == 0 ? kAllSkipped : 0;
}
