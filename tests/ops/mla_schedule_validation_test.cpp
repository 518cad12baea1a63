// mla_schedule: every mistake that the host can see, and plans.
#include "tests/support/mla_case.h"

namespace nsameta::test {
namespace {

using args_t = nsameta_mla_schedule_args;

class mla_schedule_validation : public op_test {
 protected:
  static mla_case good_case() {
    return {.inputs = {.seq_lens = {100, 20'000, 0, 64, 65, 3000}, .num_parts = 9}, .slack = 2};
  }

  void refuse(const std::function<void(args_t*)>& spoil, const std::vector<std::string>& parts) {
    expect_no_launch();
    bound_mla call(context(), stream(), good_case());
    spoil(&call.mutable_args());
    check_refused(call, parts);
  }
};
NSAMETA_TEST_ALL_EXECUTIONS(mla_schedule_validation);

TEST_P(mla_schedule_validation, args) {
  refuse([](args_t* a) { a->struct_size = 8; }, {"struct_size=8", "nsameta_mla_schedule_args_init"});
  EXPECT_EQ(nsameta_mla_schedule(context(), nullptr, stream()), NSAMETA_INVALID_ARGUMENT);
  EXPECT_STREQ(nsameta_last_error_message(), "args=NULL must point to nsameta_mla_schedule_args");
}

TEST_P(mla_schedule_validation, scalars) {
  refuse([](args_t* a) { a->batch = -2; }, {"batch=-2"});
  refuse([](args_t* a) { a->batch = 7; }, {"batch=7 exceeds shape[0]=6 of seq_lens"});
  refuse([](args_t* a) { a->block_size = 0; }, {"block_size=0"});
  refuse([](args_t* a) { a->fixed_overhead = -1; }, {"fixed_overhead=-1"});
  refuse([](args_t* a) { a->fixed_overhead = 65'537; }, {"fixed_overhead=65537"});
  refuse([](args_t* a) { a->topk = -1; }, {"topk=-1"});
  refuse([](args_t* a) { a->min_keys = 2; }, {"min_keys=2"});
  refuse([](args_t* a) { a->layout = 3; }, {"layout=3"});
}

TEST_P(mla_schedule_validation, missing) {
  refuse([](args_t* a) { a->seq_lens = {}; }, {"seq_lens=NULL", "topk > 0"});
  refuse(
      [](args_t* a) {
        a->seq_lens = {};
        a->topk = 5;
      },
      {"batch=-1 needs seq_lens"});
  refuse([](args_t* a) { a->parts = {}; }, {"parts=NULL"});
  refuse([](args_t* a) { a->num_splits = {}; }, {"num_splits=NULL"});
}

TEST_P(mla_schedule_validation, tensors) {
  refuse([](args_t* a) { a->seq_lens.ndim = 2; }, {"seq_lens: ndim=2 must be 1"});
  refuse([](args_t* a) { a->parts.shape[0] = 0; }, {"shape[0] of parts=0"});
  refuse([](args_t* a) { a->parts.shape[0] = 1025; }, {"shape[0] of parts=1025"});
  refuse([](args_t* a) { a->parts.shape[1] = 7; }, {"shape[1] of parts=7"});
  refuse([](args_t* a) { a->parts.strides[0] = 9; }, {"parts: strides=(9, 1) must be (8, 1)"});
  refuse([](args_t* a) { a->parts.dtype = NSAMETA_INT64; }, {"parts: "});
  refuse([](args_t* a) { a->num_splits.dtype = NSAMETA_INT64; }, {"num_splits: "});
  refuse([](args_t* a) { a->num_splits.shape[0] = 6; }, {"num_splits: shape[0]=6 must be at least batch + 1 = 7"});
  refuse([](args_t* a) { a->num_splits.strides[0] = 2; }, {"num_splits: strides[0]=2 must be 1"});
  refuse([](args_t* a) { a->num_splits.device.id += 1; }, {"num_splits: is on"});
}

TEST_P(mla_schedule_validation, overlap) {
  refuse([](args_t* a) { a->num_splits.data = a->seq_lens.data; }, {"output num_splits overlaps input seq_lens"});
  refuse([](args_t* a) { a->num_splits.data = a->parts.data; }, {"output num_splits overlaps output parts"});
}

TEST_P(mla_schedule_validation, plans_for_every_batch) {
  bound_mla call(context(), stream(), good_case());
  const auto plan = create_plan(call);
  ASSERT_NE(plan, nullptr);
  for (int32_t batch = 6; batch >= -1; --batch) ASSERT_NO_FATAL_FAILURE(check_plan(call, plan.get(), batch));
}

TEST_P(mla_schedule_validation, bad_runs) {
  expect_no_launch();
  bound_mla call(context(), stream(), good_case());
  ASSERT_NO_FATAL_FAILURE(call.reset());
  const auto plan = create_plan(call);
  const auto refused = [&](int32_t batch, int64_t tokens, int64_t kv, const char* part) {
    expect_refused(call, [&] { return nsameta_plan_run(plan.get(), batch, tokens, kv, stream()); }, {part});
  };
  refused(7, -1, -1, "batch=7 must be in [-1, 6]");
  refused(-2, -1, -1, "batch=-2");
  refused(1, -2, -1, "num_tokens_bound=-2");
  refused(1, -1, -2, "max_kv_bound=-2");
}

TEST_P(mla_schedule_validation, capture_of_a_staged_run) {
  expect_no_launch();
  bound_mla call(context(), stream(), good_case());
  check_staged_capture(call);
}

}  // namespace
}  // namespace nsameta::test
