// Every value of every tunable within its range gives the same results: random cases, each with values of its own. What
// is drawn reaches what defaults keep for large batches and long contexts, and other launches than theirs.
#include <algorithm>
#include <set>
#include <string>

#include "tests/support/copy_case.h"
#include "tests/support/execution_test.h"
#include "tests/support/random_case.h"
#include "tests/support/topk_case.h"

namespace nsameta::test {
namespace {

constexpr uint64_t kNumTunedCases = 1000;

class build_metadata_tunables : public op_test {
 protected:
  using op_test::check;
  void check(const metadata_case& c) { execution_test::check(c); }

  std::vector<nsameta_tunable> tunables() {
    std::vector<nsameta_tunable> all;
    for (int32_t i = 0; i < nsameta_context_num_tunables(context()); ++i) {
      EXPECT_EQ(nsameta_context_get_tunable(context(), i, &all.emplace_back()), NSAMETA_OK);
    }
    return all;
  }

  // Any value, with weight on the ends of the range and on small ones, which small cases are compared with.
  static int64_t draw_value(random_source& random, const nsameta_tunable& t) {
    switch (random.in(0, 4)) {
      case 0: return t.least;
      case 1: return t.most;
      case 2: return t.default_value;
      case 3: return random.in(t.least, t.most);
      default: return std::min(t.least + (int64_t{1} << random.in(0, 16)), t.most);
    }
  }

  std::string draw_all(random_source& random) {
    std::string drawn;
    for (const auto& t : tunables()) {
      const int64_t value = draw_value(random, t);
      EXPECT_EQ(nsameta_context_set_tunable(context(), t.name, value), NSAMETA_OK) << nsameta_last_error_message();
      drawn += std::string(" ") + t.name + "=" + std::to_string(value);
    }
    return drawn;
  }

  // The line that begins so in what a plan of the case explains.
  std::string explained_line(const metadata_case& c, const std::string& begin) {
    const bound_case bound(context(), stream(), c);
    nsameta_plan* created = nullptr;
    EXPECT_EQ(nsameta_plan_create(context(), NSAMETA_OP_BUILD_METADATA, &bound.args(), &created), NSAMETA_OK);
    const plan_handle plan(created);
    char text[4096];
    EXPECT_EQ(nsameta_plan_explain(plan.get(), -1, -1, -1, text, sizeof(text), nullptr), NSAMETA_OK)
        << nsameta_last_error_message();
    const std::string all = text;
    const size_t at = all.find("\n" + begin);
    return at == std::string::npos ? "" : all.substr(at + 1, all.find('\n', at + 1) - at - 1);
  }

  bool is_gpu() const { return GetParam().backend != "cpu" && GetParam().backend != "recording_gpu"; }
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_tunables);

TEST_P(build_metadata_tunables, defaults_are_in_range_and_in_force) {
  expect_no_launch();
  std::set<std::string> names;
  for (const auto& t : tunables()) {
    SCOPED_TRACE(t.name);
    EXPECT_TRUE(names.insert(t.name).second);
    EXPECT_LE(t.least, t.default_value);
    EXPECT_LE(t.default_value, t.most);
    EXPECT_EQ(t.value, t.default_value);
    EXPECT_STRNE(t.decides, "");
    EXPECT_STRNE(t.measured, "");
    EXPECT_GE(t.op, -1);
    EXPECT_LE(t.op, NSAMETA_OP_MLA_SCHEDULE);
  }
  EXPECT_GT(names.size(), 5U);
}

TEST_P(build_metadata_tunables, change_no_result) {
  std::set<std::string> chosen;
  for (uint64_t i = 0; i < num_cases(kNumTunedCases); ++i) {
    random_source random(3'000'000 + i);
    SCOPED_TRACE("NSAMETA_TEST_SEED=" + std::to_string(seed()) + ", case " + std::to_string(i));
    SCOPED_TRACE(draw_all(random));
    const metadata_case c = draw_case(random);
    check(c);
    chosen.insert(explained_line(c, is_gpu() ? "kernel: " : "token_path: "));
    if (HasFailure()) return;
  }
  EXPECT_GT(chosen.size(), is_gpu() ? 8U : 1U);
}

TEST_P(build_metadata_tunables, change_no_result_of_other_operations) {
  for (uint64_t i = 0; i < 20; ++i) {
    random_source random(4'000'000 + i);
    SCOPED_TRACE("NSAMETA_TEST_SEED=" + std::to_string(seed()) + ", case " + std::to_string(i));
    SCOPED_TRACE(draw_all(random));
    copy_case copies;
    for (int k = 0; k < 5; ++k) copies.add_vector(random.in(1, 3000), random.in(0, 3), random.in(0, 3));
    bound_copy copy(context(), stream(), copies);
    check(copy);
    const auto kind = random.chance(50) ? reference::slot_table::page_table : reference::slot_table::req_to_token;
    bound_topk slots(context(), stream(), random_topk_case(random, kind, random.in(1, 40), random.in(1, 300), 700));
    check(slots);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace nsameta::test
