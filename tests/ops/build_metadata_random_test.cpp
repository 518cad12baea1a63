// Random cases over every dimension at once. A failure names the seed and the case; NSAMETA_TEST_SEED repeats it, and
// NSAMETA_TEST_CASES asks for more cases.
#include "tests/support/execution_test.h"
#include "tests/support/random_case.h"

namespace nsameta::test {
namespace {

constexpr uint64_t kNumCases = 2000;

class build_metadata_random : public execution_test {};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_random);

TEST_P(build_metadata_random, agrees_with_the_oracle) {
  for (uint64_t i = 0; i < num_cases(kNumCases); ++i) {
    random_source random(1'000'000 + i);
    SCOPED_TRACE("NSAMETA_TEST_SEED=" + std::to_string(seed()) + ", case " + std::to_string(i));
    check(draw_case(random));
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace nsameta::test
