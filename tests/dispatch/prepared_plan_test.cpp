// When a plan has its launch chosen anew, on a backend that counts.
#include <memory>

#include "core/status.h"
#include "tests/dispatch/choosing_backend.h"
#include "tests/support/handles.h"

namespace nsameta::dispatch {
namespace {

class prepared_plan : public choosing_backend {
 protected:
  ~prepared_plan() override { EXPECT_EQ(the_log.num_operations, 0) << "a plan called the operation"; }

  test::plan_handle make_plan() {
    nsameta_plan* plan = nullptr;
    EXPECT_EQ(create_plan(context_, NSAMETA_OP_BUILD_METADATA, &args_, &plan), NSAMETA_OK) << last_error_message();
    return test::plan_handle(plan);
  }

  // Runs, and returns how often the launch was chosen for that.
  static int choices_of_run(nsameta_plan& plan, const run_bounds& bounds) {
    const int before = the_log.num_choices;
    EXPECT_EQ(plan.run(bounds, nullptr), NSAMETA_OK) << last_error_message();
    return the_log.num_choices - before;
  }
};

TEST_F(prepared_plan, chooses_when_it_is_made_and_when_bounds_change) {
  const auto plan = make_plan();
  EXPECT_EQ(the_log.num_choices, 1);
  EXPECT_EQ(choices_of_run(*plan, {-1, -1, -1}), 0);
  EXPECT_EQ(choices_of_run(*plan, {5, -1, -1}), 1);
  EXPECT_EQ(the_log.last_launch.batch, 5);
  EXPECT_EQ(choices_of_run(*plan, {5, -1, -1}), 0);
  EXPECT_EQ(choices_of_run(*plan, {5, 7, -1}), 1);
  EXPECT_EQ(the_log.last_launch.num_tokens_bound, 7);
  EXPECT_EQ(choices_of_run(*plan, {-1, -1, -1}), 1);
  EXPECT_EQ(the_log.last_launch.batch, 8);
  EXPECT_EQ(the_log.last_launch.num_tokens_bound, -1);
  EXPECT_EQ(the_log.num_launches, 5);
  EXPECT_EQ(context_.num_launches, 5U);
}

TEST_F(prepared_plan, keeps_its_launch_while_contexts_grow_to_the_next_multiple_of_128) {
  const auto plan = make_plan();
  EXPECT_EQ(choices_of_run(*plan, {-1, -1, 129}), 1);
  EXPECT_EQ(the_log.last_launch.max_kv_bound, 256);
  EXPECT_EQ(choices_of_run(*plan, {-1, -1, 256}), 0);
  EXPECT_EQ(choices_of_run(*plan, {-1, -1, 257}), 1);
  EXPECT_EQ(choices_of_run(*plan, {-1, -1, 0}), 1);
  EXPECT_EQ(the_log.last_launch.max_kv_bound, 0);
  EXPECT_EQ(choices_of_run(*plan, {-1, -1, INT64_MAX}), 1);
  EXPECT_EQ(the_log.last_launch.max_kv_bound, INT64_MAX);
}

TEST_F(prepared_plan, chooses_anew_after_a_tunable_was_set) {
  const auto plan = make_plan();
  ASSERT_EQ(nsameta_context_set_tunable(&context_, "width", 3), NSAMETA_OK) << last_error_message();
  EXPECT_EQ(choices_of_run(*plan, {-1, -1, -1}), 1);
  EXPECT_EQ(choices_of_run(*plan, {-1, -1, -1}), 0);
}

TEST_F(prepared_plan, launches_nothing_old_after_bad_bounds_or_a_failure) {
  const auto plan = make_plan();
  EXPECT_EQ(plan->run({9, -1, -1}, nullptr), NSAMETA_INVALID_ARGUMENT);
  the_log.refuses_choices = true;
  EXPECT_EQ(plan->run({-1, -1, -1}, nullptr), NSAMETA_DEVICE_ERROR);
  EXPECT_EQ(the_log.num_launches, 0);
  the_log.refuses_choices = false;
  EXPECT_EQ(choices_of_run(*plan, {-1, -1, -1}), 1);
  EXPECT_EQ(the_log.num_launches, 1);
}

TEST_F(prepared_plan, releases_its_launch) {
  make_plan().reset();
  EXPECT_EQ(the_log.num_releases, 1);
  the_log.refuses_choices = true;
  nsameta_plan* plan = nullptr;
  EXPECT_EQ(create_plan(context_, NSAMETA_OP_BUILD_METADATA, &args_, &plan), NSAMETA_DEVICE_ERROR);
  EXPECT_EQ(plan, nullptr);
  EXPECT_EQ(the_log.num_releases, 1);
}

}  // namespace
}  // namespace nsameta::dispatch
