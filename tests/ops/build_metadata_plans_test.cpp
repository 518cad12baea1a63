// One plan for every batch up to its own, with any bounds, alone and in a graph.
#include "tests/support/execution_test.h"
#include "tests/support/handles.h"

namespace nsameta::test {
namespace {

class build_metadata_plans : public execution_test {
 protected:
  plan_handle create(const bound_case& bound) {
    nsameta_plan* plan = nullptr;
    EXPECT_EQ(nsameta_plan_create(context(), NSAMETA_OP_BUILD_METADATA, &bound.args(), &plan), NSAMETA_OK)
        << nsameta_last_error_message();
    return plan_handle(plan);
  }

  // Runs the plan for the first `batch` requests (-1: all of them) and checks memory.
  void run(bound_case& bound, nsameta_plan* plan, int32_t batch, int64_t num_tokens_bound, int64_t max_kv_bound) {
    const auto& all = bound.description().inputs;
    const auto inputs = batch < 0 ? all : first_requests(all, batch);
    ASSERT_NO_FATAL_FAILURE(bound.reset(inputs));
    ASSERT_EQ(nsameta_plan_run(plan, batch, num_tokens_bound, max_kv_bound, stream()), NSAMETA_OK)
        << nsameta_last_error_message();
    ASSERT_EQ(nsameta_synchronize(context(), stream()), NSAMETA_OK);
    ASSERT_TRUE(bound.holds(inputs)) << "batch " << batch << " bounds " << num_tokens_bound << ", " << max_kv_bound;
  }

  void check_every_batch(const metadata_case& c) {
    bound_case bound(context(), stream(), c);
    const auto plan = create(bound);
    ASSERT_NE(plan, nullptr);
    const auto capacity = static_cast<int32_t>(c.inputs.seq_lens.size());
    for (int32_t batch = capacity; batch >= -1; --batch) {
      ASSERT_NO_FATAL_FAILURE(run(bound, plan.get(), batch, -1, -1));
    }
  }
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_plans);

TEST_P(build_metadata_plans, every_batch_up_to_the_capacity) {
  random_source random(50);
  check_every_batch(decode_case(random_lengths(random, 70, 0, 5000)).want_all());
  check_every_batch(verify_case(random_lengths(random, 40, 0, 5000), 4).want_all());
  check_every_batch(random_ragged_case(random, NSAMETA_MODE_EXTEND, 130, 9).want_all());
  auto width = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, random_lengths(random, 40, 0, 5000), {3}).want_all();
  width.inputs.static_width = true;
  check_every_batch(width);
}

TEST_P(build_metadata_plans, every_batch_with_tails) {
  random_source random(51);
  for (const auto tail : {NSAMETA_TAIL_ZERO, NSAMETA_TAIL_LAST, NSAMETA_TAIL_MINUS_ONE}) {
    auto ragged = random_ragged_case(random, NSAMETA_MODE_DRAFT_EXTEND, 35, 6).want_all();
    auto verify = verify_case(random_lengths(random, 35, 0, 5000), 2).want_all();
    for (auto* c : {&ragged, &verify}) {
      c->tail = tail;
      check_every_batch(*c);
    }
  }
}

TEST_P(build_metadata_plans, every_batch_with_slots) {
  random_source random(55);
  const auto lengths = [&](int64_t batch) { return random_lengths(random, batch, 0, 200); };
  auto decode = decode_case(lengths(40)).with_pool(random).want_all();
  auto verify = verify_case(lengths(20), 4).with_pool(random).want_all();
  auto extend = ragged_case(NSAMETA_MODE_EXTEND, lengths(50), random_lengths(random, 50, 0, 6));
  auto width = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, lengths(20), {3});
  width.inputs.static_width = true;
  width.table_rows = NSAMETA_TABLE_ROWS_PER_REQUEST;
  extend.with_pool(random).want_all().with_num_requests(30);  // below some of the batches that are run
  for (const auto& c : {decode, verify, extend, width.with_pool(random).want_all()}) {
    check_every_batch(c);
    if (HasFatalFailure()) return;
  }
}

TEST_P(build_metadata_plans, batches_of_thousands) {
  random_source random(52);
  bound_case bound(context(), stream(), random_ragged_case(random, NSAMETA_MODE_EXTEND, 9000, 4).want_all());
  const auto plan = create(bound);
  for (const int32_t batch : {9000, 1, 4097, 4096, 2000, 1025, 256, 33, 0, -1}) {
    ASSERT_NO_FATAL_FAILURE(run(bound, plan.get(), batch, -1, -1));
  }
}

TEST_P(build_metadata_plans, bounds_change_no_result) {
  random_source random(53);
  auto c = random_ragged_case(random, NSAMETA_MODE_EXTEND, 60, 50).with_slack(10);
  for (auto& kv : c.inputs.seq_lens) kv %= 300;
  bound_case bound(context(), stream(), c.with_pool(random).want_all());
  const auto plan = create(bound);
  for (const int64_t bound_value : {int64_t{-1}, int64_t{0}, int64_t{1}, int64_t{200}, int64_t{1} << 40, INT64_MAX}) {
    ASSERT_NO_FATAL_FAILURE(run(bound, plan.get(), 60, bound_value, -1));
    ASSERT_NO_FATAL_FAILURE(run(bound, plan.get(), 17, -1, bound_value));
    ASSERT_NO_FATAL_FAILURE(run(bound, plan.get(), 45, bound_value, bound_value));
  }
}

TEST_P(build_metadata_plans, bad_runs_are_refused) {
  expect_no_launch();
  bound_case bound(context(), stream(), decode_case({1, 2, 3}).want_all());
  ASSERT_NO_FATAL_FAILURE(bound.reset(bound.description().inputs));
  const auto plan = create(bound);
  const auto refused = [&](int32_t batch, int64_t num_tokens_bound, int64_t max_kv_bound, const char* part) {
    EXPECT_EQ(nsameta_plan_run(plan.get(), batch, num_tokens_bound, max_kv_bound, stream()), NSAMETA_INVALID_ARGUMENT);
    EXPECT_NE(std::string(nsameta_last_error_message()).find(part), std::string::npos) << nsameta_last_error_message();
  };
  refused(4, -1, -1, "batch=4");
  refused(-2, -1, -1, "batch=-2");
  refused(3, -2, -1, "num_tokens_bound=-2");
  refused(3, -1, -2, "max_kv_bound=-2");
  EXPECT_EQ(nsameta_plan_run(nullptr, 3, -1, -1, stream()), NSAMETA_INVALID_ARGUMENT);
  EXPECT_TRUE(bound.is_untouched());
}

TEST_P(build_metadata_plans, unknown_operation_is_refused) {
  expect_no_launch();
  bound_case bound(context(), stream(), decode_case({1}).want_all());
  nsameta_plan* plan = nullptr;
  EXPECT_EQ(nsameta_plan_create(context(), static_cast<nsameta_op>(1), &bound.args(), &plan), NSAMETA_INVALID_ARGUMENT);
  EXPECT_EQ(plan, nullptr);
  EXPECT_EQ(nsameta_plan_create(context(), NSAMETA_OP_BUILD_METADATA, nullptr, &plan), NSAMETA_INVALID_ARGUMENT);
  EXPECT_EQ(nsameta_plan_create(context(), NSAMETA_OP_BUILD_METADATA, &bound.args(), nullptr),
            NSAMETA_INVALID_ARGUMENT);
}

TEST_P(build_metadata_plans, plans_of_one_context_are_independent) {
  random_source random(54);
  bound_case first(context(), stream(), verify_case(random_lengths(random, 20, 0, 900), 3).want_all());
  bound_case second(context(), stream(), random_ragged_case(random, NSAMETA_MODE_EXTEND, 30, 5).want_all());
  const auto first_plan = create(first);
  const auto second_plan = create(second);
  for (const int32_t batch : {20, 5, 0, 11}) {
    ASSERT_NO_FATAL_FAILURE(run(first, first_plan.get(), batch, -1, -1));
    ASSERT_NO_FATAL_FAILURE(run(second, second_plan.get(), batch + 10, -1, -1));
  }
}

TEST_P(build_metadata_plans, args_may_go_after_create) {
  bound_case bound(context(), stream(), verify_case({4, 5, 6}, 2).want_all());
  auto args = std::make_unique<nsameta_build_metadata_args>(bound.args());
  nsameta_plan* created = nullptr;
  ASSERT_EQ(nsameta_plan_create(context(), NSAMETA_OP_BUILD_METADATA, args.get(), &created), NSAMETA_OK);
  const plan_handle plan(created);
  *args = {};
  args.reset();
  run(bound, plan.get(), 3, -1, -1);
}

TEST_P(build_metadata_plans, capture_is_refused_where_a_run_must_synchronise) {
  expect_no_launch();
  if (GetParam().kind == execution_kind::eager && GetParam().device.type == NSAMETA_DEVICE_CPU) {
    EXPECT_EQ(nsameta_graph_begin(context(), stream()), NSAMETA_UNSUPPORTED);
    return;
  }
  if (GetParam().kind != execution_kind::staged) return;  // captures are what the graph execution tests
  bound_case bound(context(), stream(), decode_case({1, 2, 3}).want_all());
  ASSERT_NO_FATAL_FAILURE(bound.reset(bound.description().inputs));
  const auto plan = create(bound);
  ASSERT_EQ(nsameta_graph_begin(context(), stream()), NSAMETA_OK) << nsameta_last_error_message();
  EXPECT_EQ(nsameta_plan_run(plan.get(), 3, -1, -1, stream()), NSAMETA_UNSUPPORTED);
  EXPECT_EQ(nsameta_build_metadata(context(), &bound.args(), stream()), NSAMETA_UNSUPPORTED);
  nsameta_graph* graph = nullptr;
  EXPECT_EQ(nsameta_graph_end(context(), stream(), &graph), NSAMETA_OK) << nsameta_last_error_message();
  nsameta_graph_destroy(graph);
  EXPECT_TRUE(bound.is_untouched());
}

}  // namespace
}  // namespace nsameta::test
