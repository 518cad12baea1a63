// The true batch on the device: what lies beyond it does not exist, and one captured graph serves every batch.
#include "tests/support/execution_test.h"
#include "tests/support/handles.h"

namespace nsameta::test {
namespace {

class build_metadata_num_requests : public execution_test {
 protected:
  // Requests from the true batch on hold what would be faults, or far too many tokens.
  void spoil_the_rest(reference::metadata_inputs* in) {
    const auto first = static_cast<size_t>(true_batch(*in));
    for (size_t r = first; r < in->seq_lens.size(); ++r) {
      in->seq_lens[r] = random_.pick<int64_t>({INT32_MIN, -1, INT32_MAX, 77});
      if (r < in->extend_seq_lens.size() && !in->static_width) {
        in->extend_seq_lens[r] = random_.pick<int64_t>({INT32_MIN, -1, INT32_MAX, 2});
      }
      if (r < in->req_pool_indices.size()) {
        in->req_pool_indices[r] = random_.pick<int64_t>({-1, INT32_MAX, INT64_MIN, int64_t{1} << 32});
      }
    }
  }

  metadata_case of_mode(nsameta_mode mode, int64_t batch) {
    auto lengths = random_lengths(random_, batch, 0, 200);
    if (mode == NSAMETA_MODE_DECODE) return decode_case(std::move(lengths)).with_pool(random_, 200);
    if (mode == NSAMETA_MODE_TARGET_VERIFY) return verify_case(std::move(lengths), 3).with_pool(random_, 203);
    return ragged_case(mode, std::move(lengths), random_lengths(random_, batch, 0, 5)).with_pool(random_, 200);
  }

  void check_value(metadata_case c, int64_t num_requests) {
    c.with_num_requests(num_requests);
    spoil_the_rest(&c.inputs);
    SCOPED_TRACE(num_requests);
    check(c);
  }

  // New lengths, pool rows and true batch for a case.
  void draw_step(reference::metadata_inputs* in) {
    const auto batch = static_cast<int64_t>(in->seq_lens.size());
    in->num_requests = random_.chance(5) ? random_.pick<int64_t>({0, batch}) : random_.in(0, batch);
    in->seq_lens = random_lengths(random_, batch, 0, 200);
    if (!in->extend_seq_lens.empty()) in->extend_seq_lens = random_lengths(random_, batch, 0, 5);
    in->req_pool_indices = random_lengths(random_, batch, 0, in->pool_rows - 1);
    spoil_the_rest(in);
  }

  // One capture, or one plan where nothing can be captured, for `num_steps` different batches.
  void check_steps(metadata_case c, int num_steps);

  random_source random_{75};
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_num_requests);

void build_metadata_num_requests::check_steps(metadata_case c, int num_steps) {
  c.with_num_requests(c.batch());
  bound_case bound(context(), stream(), c);
  nsameta_plan* created = nullptr;
  ASSERT_EQ(nsameta_plan_create(context(), NSAMETA_OP_BUILD_METADATA, &bound.args(), &created), NSAMETA_OK)
      << nsameta_last_error_message();
  const plan_handle plan(created);
  nsameta_graph* captured = nullptr;
  const bool is_graph = GetParam().kind == execution_kind::graph;
  if (is_graph) {
    ASSERT_EQ(nsameta_graph_begin(context(), stream()), NSAMETA_OK) << nsameta_last_error_message();
    EXPECT_EQ(nsameta_plan_run(plan.get(), -1, -1, -1, stream()), NSAMETA_OK) << nsameta_last_error_message();
    ASSERT_EQ(nsameta_graph_end(context(), stream(), &captured), NSAMETA_OK) << nsameta_last_error_message();
  }
  const graph_handle graph(captured);
  auto inputs = bound.description().inputs;
  for (int step = 0; step < num_steps; ++step) {
    draw_step(&inputs);
    ASSERT_NO_FATAL_FAILURE(bound.reset(inputs));
    ASSERT_EQ(
        is_graph ? nsameta_graph_launch(graph.get(), stream()) : nsameta_plan_run(plan.get(), -1, -1, -1, stream()),
        NSAMETA_OK)
        << nsameta_last_error_message();
    ASSERT_EQ(nsameta_synchronize(context(), stream()), NSAMETA_OK);
    ASSERT_TRUE(bound.holds(inputs)) << "step " << step << " num_requests " << inputs.num_requests;
  }
}

TEST_P(build_metadata_num_requests, every_value_up_to_the_batch) {
  for (const auto mode :
       {NSAMETA_MODE_DECODE, NSAMETA_MODE_TARGET_VERIFY, NSAMETA_MODE_DRAFT_EXTEND, NSAMETA_MODE_EXTEND}) {
    for (const auto tail : kTails) {
      for (const int64_t num_requests : {0, 1, 2, 7, 31, 32, 33, 39, 40}) {
        auto c = of_mode(mode, 40).want_all().with_slack(5);
        c.tail = tail;
        check_value(c, num_requests);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(build_metadata_num_requests, values_outside_the_batch) {
  for (const int64_t value :
       {int64_t{41}, int64_t{1000}, int64_t{INT32_MAX}, int64_t{-1}, int64_t{-2}, int64_t{-40}, int64_t{INT32_MIN}}) {
    for (const auto tail : kTails) {
      auto c = of_mode(NSAMETA_MODE_EXTEND, 40).want_all().with_slack(5);
      c.tail = tail;
      check_value(c, value);
      check_value(of_mode(NSAMETA_MODE_DECODE, 1).want_all(), value);
      check_value(of_mode(NSAMETA_MODE_DECODE, 0).want_all(), value);
    }
  }
}

TEST_P(build_metadata_num_requests, static_width) {
  for (const int64_t num_requests : {0, 1, 5, 20}) {
    auto c =
        ragged_case(NSAMETA_MODE_DRAFT_EXTEND, random_lengths(random_, 20, 0, 200), {4}).with_pool(random_).want_all();
    c.inputs.static_width = true;
    c.tail = NSAMETA_TAIL_LAST;
    check_value(c, num_requests);
  }
  // Nobody reads the width when there is no request.
  auto none = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, {5, 6}, {-9}).with_pool(random_).want_all();
  none.inputs.static_width = true;
  check_value(none, 0);
}

TEST_P(build_metadata_num_requests, large_batches) {
  for (const int64_t batch : {257, 1025, 5000}) {
    for (const int64_t num_requests : {int64_t{0}, int64_t{1}, int64_t{256}, batch / 2, batch - 1, batch}) {
      auto c =
          ragged_case(NSAMETA_MODE_EXTEND, random_lengths(random_, batch, 0, 20), random_lengths(random_, batch, 0, 4))
              .with_pool(random_)
              .want_all();
      c.tail = NSAMETA_TAIL_LAST;
      check_value(c, num_requests);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(build_metadata_num_requests, context_lengths_rows) {
  for (const auto tail : kTails) {
    auto c = of_mode(NSAMETA_MODE_EXTEND, 30).want({output_id::paged_mqa_ctx_lens_2d, output_id::cu_seqlens_q});
    c.tail = tail;
    c.ctx_lens_columns = 7;
    c.ctx_lens_row_slack = 3;
    for (const int64_t num_requests : {0, 1, 12, 30}) check_value(c, num_requests);
  }
}

TEST_P(build_metadata_num_requests, capacities_may_be_larger_than_the_batch) {
  for (const auto tail : kTails) {
    auto c = of_mode(NSAMETA_MODE_DECODE, 12).want_all();
    for (auto& output : c.outputs) output.slack = 6;  // [batch, capacity) is nobody's
    c.tail = tail;
    for (const int64_t num_requests : {0, 5, 12}) check_value(c, num_requests);
  }
}

TEST_P(build_metadata_num_requests, several_destinations) {
  for (const auto tail : kTails) {
    auto c = of_mode(NSAMETA_MODE_TARGET_VERIFY, 25).want_all();
    c.tail = tail;
    c.more_sets = {static_cast<const set_layout&>(c), set_layout{}};
    c.more_sets[0].num_sms = 78;
    c.more_sets[1].at(output_id::cu_seqlens_q).is_wanted = true;
    for (const int64_t num_requests : {0, 9, 25, 26}) check_value(c, num_requests);
  }
}

TEST_P(build_metadata_num_requests, one_capture_for_many_batches) {
  for (const auto mode : {NSAMETA_MODE_TARGET_VERIFY, NSAMETA_MODE_DRAFT_EXTEND}) {
    auto c = of_mode(mode, 64).want_all().with_slack(320);
    for (auto& output : c.outputs) output.slack = 320;
    c.at(output_id::page_table_1_flattened).slack = 64 * 203;
    c.tail = NSAMETA_TAIL_ZERO;
    c.page_table_1.num_columns = 128;
    check_steps(c, static_cast<int>(num_cases(1000)));
  }
}

TEST_P(build_metadata_num_requests, one_capture_for_large_batches) {
  auto c = of_mode(NSAMETA_MODE_EXTEND, 700).want_all();
  for (auto& output : c.outputs) output.slack = 5 * 700;
  c.at(output_id::page_table_1_flattened).slack = 700 * 200;
  c.table_rows = NSAMETA_TABLE_ROWS_PER_REQUEST;
  c.at(output_id::page_table_1).slack = 0;
  check_steps(c, 20);
}

}  // namespace
}  // namespace nsameta::test
