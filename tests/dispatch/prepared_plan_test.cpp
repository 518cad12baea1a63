// When a plan has its launch chosen anew, on a backend that counts.
#include <gtest/gtest.h>

#include <array>
#include <memory>

#include "core/status.h"
#include "dispatch/plan.h"
#include "nsameta/nsameta.hpp"
#include "tests/support/handles.h"

namespace nsameta::dispatch {
namespace {

struct choice {
  int32_t batch;
  int64_t num_tokens_bound;
  int64_t max_kv_bound;
};

struct choice_log {
  int num_choices = 0;
  int num_launches = 0;
  int num_releases = 0;
  choice last_launch{};
  bool refuses_choices = false;
};

choice_log the_log;

nsameta_status choose(const void*, const nsameta_build_metadata_desc* desc, void** prepared) {
  if (the_log.refuses_choices) return NSAMETA_DEVICE_ERROR;
  ++the_log.num_choices;
  if (*prepared == nullptr) *prepared = new choice;
  *static_cast<choice*>(*prepared) = {desc->batch, desc->num_tokens_bound, desc->max_kv_bound};
  return NSAMETA_OK;
}

nsameta_status launch(void*, const void* prepared, void*) {
  ++the_log.num_launches;
  the_log.last_launch = *static_cast<const choice*>(prepared);
  return NSAMETA_OK;
}

void release(void*, void* prepared) {
  ++the_log.num_releases;
  delete static_cast<choice*>(prepared);
}

nsameta_status call_operation(void*, const nsameta_build_metadata_desc*, void*) {
  ADD_FAILURE() << "a plan called the operation";
  return NSAMETA_OK;
}

class prepared_plan : public ::testing::Test {
 protected:
  prepared_plan() {
    the_log = {};
    table_.name = "choosing";
    table_.last_error_message = [] { return ""; };
    table_.destroy = [](void*) {};
    table_.build_metadata = call_operation;
    table_.prepare_build_metadata = choose;
    table_.launch_prepared = launch;
    table_.release_prepared = release;
    table_.num_tunables = [] { return int32_t{1}; };
    table_.get_tunable = [](const void*, int32_t, nsameta_tunable* tunable) {
      *tunable = {"width", "", "", 1, 1, 1, 9, NSAMETA_OP_BUILD_METADATA, 0};
    };
    table_.set_tunable = [](void*, int32_t, int64_t) {};
    context_.device = kCpuDevice;
    context_.backend = context_.owner = &table_;
    context_.state = &table_;
    args_.mode = NSAMETA_MODE_DECODE;
    args_.topk = 2048;
    args_.seq_lens = make_tensor(seq_lens_.data(), seq_lens_.size());
    args_.out.cache_seqlens = make_tensor(lengths_.data(), lengths_.size());
  }

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

  nsameta_backend table_{};
  nsameta_context context_;
  build_metadata_args args_;
  std::array<int32_t, 8> seq_lens_{};
  std::array<int32_t, 8> lengths_{};
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
