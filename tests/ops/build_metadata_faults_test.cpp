// Input data that only the device can see to be wrong: the fault word, -1 and 0 in the cells, nothing out of bounds.
#include "tests/support/execution_test.h"

namespace nsameta::test {
namespace {

class build_metadata_faults : public execution_test {
 protected:
  metadata_case good(int64_t batch = 40) {
    return ragged_case(NSAMETA_MODE_EXTEND, random_lengths(random_, batch, 1, 200),
                       random_lengths(random_, batch, 1, 5))
        .with_pool(random_, 200)
        .want_all();
  }
  // The fault of a run of the case one-shot, cleared again.
  nsameta_fault fault_of(const metadata_case& c) {
    bound_case bound(context(), stream(), c);
    bound.reset(bound.description().inputs);
    EXPECT_EQ(nsameta_build_metadata(context(), &bound.args(), stream()), NSAMETA_OK);
    EXPECT_EQ(nsameta_synchronize(context(), stream()), NSAMETA_OK);
    nsameta_fault fault{};
    EXPECT_EQ(nsameta_context_error(context(), &fault), NSAMETA_OK);
    EXPECT_EQ(nsameta_context_clear_error(context()), NSAMETA_OK);
    return fault;
  }
  random_source random_{76};
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_faults);

TEST_P(build_metadata_faults, pool_rows_outside) {
  for (const size_t batch : {1U, 40U, 3000U}) {
    const auto base = batch == 3000 ? good(3000).want_all() : good(static_cast<int64_t>(batch));
    for (const int64_t row : {int64_t{-1}, base.inputs.pool_rows, int64_t{INT32_MAX}, int64_t{INT32_MIN},
                              (int64_t{1} << 32) + 1, int64_t{-1} << 32, INT64_MIN, INT64_MAX}) {
      auto c = base;
      if (row < INT32_MIN || row > INT32_MAX) c.req_pool_indices.dtype = NSAMETA_INT64;
      c.inputs.req_pool_indices[batch / 2] = row;
      SCOPED_TRACE(row);
      check(c);
      if (row < INT32_MIN || row > INT32_MAX) continue;
      c.req_pool_indices.dtype = NSAMETA_INT32;
      check(c);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(build_metadata_faults, pool_without_rows) {
  auto c = good();
  c.inputs.pool_rows = 0;
  check(c);
}

TEST_P(build_metadata_faults, slots_without_room) {
  auto c = ragged_case(NSAMETA_MODE_EXTEND, {5, 9, 4}, {0, 0, 0})
               .with_pool(random_, 7)
               .want({output_id::out_slots, output_id::cu_seqlens_q});
  EXPECT_EQ(fault_of(c).check, NSAMETA_CHECK_KV_OVER_CONTEXT);
  check(c);
}

TEST_P(build_metadata_faults, kv_over_context) {
  for (const int64_t context : {0, 1, 128, 199}) {
    for (const auto width : {NSAMETA_TABLE_LIVE_128, NSAMETA_TABLE_FULL, NSAMETA_TABLE_EXACT}) {
      auto c = good();
      c.inputs.seq_lens[17] = 200;
      c.with_pool(random_, context);
      c.inputs.table_width = width;
      c.page_table_1.num_columns = 300;
      c.real_page_table.num_columns = 5;
      check(c);
    }
  }
  auto far = good();
  far.inputs.seq_lens[9] = INT32_MAX;  // no buffer has room for these keys
  check(far);
}

TEST_P(build_metadata_faults, slots_nobody_wants_give_no_fault) {
  auto c = good();
  for (auto& output : c.outputs) output.is_wanted = false;
  c.want({output_id::seqlens_expanded, output_id::paged_mqa_schedule, output_id::topk_plan});
  c.inputs.req_pool_indices[3] = -1;
  c.inputs.seq_lens[5] = 100'000;
  check(c);
  EXPECT_EQ(fault_of(c).check, NSAMETA_CHECK_NONE);
  for (const auto id :
       {output_id::out_slots, output_id::page_table_1, output_id::real_page_table, output_id::page_table_1_flattened}) {
    auto wanted = c;
    wanted.more_sets.emplace_back().at(id).is_wanted = true;  // one of a second destination counts
    check(wanted);
    EXPECT_NE(fault_of(wanted).check, NSAMETA_CHECK_NONE) << output_name(static_cast<int>(id));
  }
}

TEST_P(build_metadata_faults, tokens_over_capacity_of_each_output) {
  for (const auto id :
       {output_id::out_slots, output_id::page_table_1, output_id::real_page_table, output_id::topk_plan}) {
    for (const int64_t slack : {-1, -2, -60, -1000}) {
      auto c = good();
      c.table_rows = NSAMETA_TABLE_ROWS_PER_TOKEN;
      c.at(id).slack = slack;
      SCOPED_TRACE(output_name(static_cast<int>(id)));
      check(c);
      EXPECT_EQ(fault_of(c).check, NSAMETA_CHECK_TOKENS_OVER_CAPACITY);
    }
  }
  auto none = good(600);  // more than 512 tokens: no plan is built, whatever its room
  none.at(output_id::topk_plan).slack = 0;
  check(none);
}

TEST_P(build_metadata_faults, keys_over_capacity) {
  for (const int64_t slack : {-1, -2, -200, -3000, -100'000}) {
    auto c = good();
    c.at(output_id::page_table_1_flattened).slack = slack;
    check(c);
    const auto fault = fault_of(c);
    EXPECT_EQ(fault.check, NSAMETA_CHECK_KEYS_OVER_CAPACITY);
    EXPECT_EQ(fault.request_idx, -1);
  }
}

TEST_P(build_metadata_faults, several_at_once) {
  auto c = good().with_num_requests(41);
  c.inputs.seq_lens[3] = -4;
  c.inputs.extend_seq_lens[3] = -5;
  c.inputs.req_pool_indices[3] = -6;
  c.inputs.seq_lens[2] = 201;
  c.at(output_id::page_table_1_flattened).slack = -1000;
  check(c);
  c.inputs.num_requests = 40;
  check(c);
  c.inputs.seq_lens[2] = 200;
  check(c);
  c.inputs.seq_lens[3] = 10;
  check(c);
  c.inputs.extend_seq_lens[3] = 1;
  check(c);
  c.inputs.req_pool_indices[3] = 0;
  check(c);
}

TEST_P(build_metadata_faults, the_first_one_stays_until_it_is_cleared) {
  auto c = good();
  c.inputs.req_pool_indices[7] = -3;
  bound_case bad(context(), stream(), c);
  bad.reset(bad.description().inputs);
  bound_case fine(context(), stream(), good());
  fine.reset(fine.description().inputs);
  const auto run = [&](const bound_case& bound) {
    ASSERT_EQ(nsameta_build_metadata(context(), &bound.args(), stream()), NSAMETA_OK);
    ASSERT_EQ(nsameta_synchronize(context(), stream()), NSAMETA_OK);
  };
  const auto check_of_context = [&] {
    nsameta_fault fault{};
    EXPECT_EQ(nsameta_context_error(context(), &fault), NSAMETA_OK);
    return fault;
  };
  run(bad);
  run(fine);
  EXPECT_EQ(check_of_context().check, NSAMETA_CHECK_POOL_ROW);
  EXPECT_EQ(check_of_context().request_idx, 7);
  EXPECT_EQ(check_of_context().value, -3);
  ASSERT_EQ(nsameta_context_clear_error(context()), NSAMETA_OK);
  EXPECT_EQ(check_of_context().check, NSAMETA_CHECK_NONE);
  run(fine);
  EXPECT_EQ(check_of_context().check, NSAMETA_CHECK_NONE);
  run(bad);
  EXPECT_EQ(check_of_context().check, NSAMETA_CHECK_POOL_ROW);
}

}  // namespace
}  // namespace nsameta::test
