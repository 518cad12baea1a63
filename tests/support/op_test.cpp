#include "tests/support/op_test.h"

#include <algorithm>

namespace nsameta::test {
namespace {

bool is_same(const nsameta_fault& a, const nsameta_fault& b) {
  return a.check == b.check && a.request_idx == b.request_idx && a.value == b.value;
}

}  // namespace

testing::AssertionResult take_fault(nsameta_context* context, const std::vector<nsameta_fault>& allowed) {
  nsameta_fault got{};
  if (nsameta_context_error(context, &got) != NSAMETA_OK || nsameta_context_clear_error(context) != NSAMETA_OK) {
    return testing::AssertionFailure() << nsameta_last_error_message();
  }
  const std::string backend = nsameta_context_backend(context);
  const bool keeps_first = backend == "cpu" || backend == "recording_gpu";
  const bool is_right =
      allowed.empty() ? got.check == NSAMETA_CHECK_NONE
      : keeps_first   ? is_same(got, allowed.front())
                      : std::any_of(allowed.begin(), allowed.end(), [&](const auto& f) { return is_same(f, got); });
  if (is_right) return testing::AssertionSuccess();
  const nsameta_fault first = allowed.empty() ? nsameta_fault{} : allowed.front();
  return testing::AssertionFailure() << "fault: got check " << got.check << " request " << got.request_idx << " value "
                                     << got.value << ", expected " << first.check << " request " << first.request_idx
                                     << " value " << first.value << " (" << allowed.size() << " in all)";
}

void op_test::run(bound_call& call, const std::function<nsameta_status()>& launch, int64_t count) {
  const uint64_t launches = nsameta_context_num_launches(context());
  if (GetParam().kind != execution_kind::graph) {
    ASSERT_NO_FATAL_FAILURE(call.reset());
    ASSERT_EQ(launch(), NSAMETA_OK) << nsameta_last_error_message();
    ASSERT_EQ(nsameta_synchronize(context(), stream()), NSAMETA_OK) << nsameta_last_error_message();
    ASSERT_TRUE(call.holds(count));
  } else {
    ASSERT_NO_FATAL_FAILURE(call.reset());
    ASSERT_EQ(nsameta_graph_begin(context(), stream()), NSAMETA_OK) << nsameta_last_error_message();
    EXPECT_EQ(launch(), NSAMETA_OK) << nsameta_last_error_message();
    nsameta_graph* captured = nullptr;
    ASSERT_EQ(nsameta_graph_end(context(), stream(), &captured), NSAMETA_OK) << nsameta_last_error_message();
    const graph_handle graph(captured);
    EXPECT_TRUE(call.is_untouched()) << "written during the capture";
    for (int replay = 0; replay < 2; ++replay) {
      ASSERT_NO_FATAL_FAILURE(call.reset());
      ASSERT_EQ(nsameta_graph_launch(graph.get(), stream()), NSAMETA_OK) << nsameta_last_error_message();
      ASSERT_EQ(nsameta_synchronize(context(), stream()), NSAMETA_OK) << nsameta_last_error_message();
      ASSERT_TRUE(call.holds(count)) << "replay " << replay;
    }
  }
  EXPECT_EQ(nsameta_context_num_launches(context()), launches + 1);
}

plan_handle op_test::create_plan(const bound_call& call) {
  nsameta_plan* plan = nullptr;
  EXPECT_EQ(nsameta_plan_create(context(), call.op(), call.args(), &plan), NSAMETA_OK) << nsameta_last_error_message();
  return plan_handle(plan);
}

void op_test::check_plan(bound_call& call, nsameta_plan* plan, int32_t count) {
  SCOPED_TRACE("plan, batch " + std::to_string(count));
  run(call, [&] { return nsameta_plan_run(plan, count, -1, -1, stream()); }, count);
}

void op_test::check(bound_call& call) {
  {
    SCOPED_TRACE("one-shot");
    ASSERT_NO_FATAL_FAILURE(run(call, [&] { return call.run_once(stream()); }, -1));
  }
  const auto plan = create_plan(call);
  ASSERT_NE(plan, nullptr);
  check_plan(call, plan.get(), -1);
}

void op_test::expect_refused(bound_call& call, const std::function<nsameta_status()>& run,
                             const std::vector<std::string>& parts, nsameta_status expected) {
  const uint64_t launches = nsameta_context_num_launches(context());
  const auto status = run();
  EXPECT_EQ(status, expected);
  const std::string message = status == NSAMETA_OK ? "" : nsameta_last_error_message();
  for (const auto& part : parts) {
    EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' is not in: " << message;
  }
  ASSERT_EQ(nsameta_synchronize(context(), stream()), NSAMETA_OK);
  EXPECT_TRUE(call.is_untouched());
  EXPECT_EQ(nsameta_context_num_launches(context()), launches);
}

void op_test::check_refused(bound_call& call, const std::vector<std::string>& parts) {
  SCOPED_TRACE(parts.empty() ? "" : parts.front());
  ASSERT_NO_FATAL_FAILURE(call.reset());
  expect_refused(call, [&] { return call.run_once(stream()); }, parts);
  nsameta_plan* plan = nullptr;
  expect_refused(call, [&] { return nsameta_plan_create(context(), call.op(), call.args(), &plan); }, parts);
  EXPECT_EQ(plan, nullptr);
}

void op_test::check_staged_capture(bound_call& call) {
  if (GetParam().kind != execution_kind::staged) return;
  ASSERT_NO_FATAL_FAILURE(call.reset());
  const auto plan = create_plan(call);
  ASSERT_EQ(nsameta_graph_begin(context(), stream()), NSAMETA_OK) << nsameta_last_error_message();
  EXPECT_EQ(nsameta_plan_run(plan.get(), -1, -1, -1, stream()), NSAMETA_UNSUPPORTED);
  EXPECT_EQ(call.run_once(stream()), NSAMETA_UNSUPPORTED);
  nsameta_graph* graph = nullptr;
  EXPECT_EQ(nsameta_graph_end(context(), stream(), &graph), NSAMETA_OK) << nsameta_last_error_message();
  nsameta_graph_destroy(graph);
  EXPECT_TRUE(call.is_untouched());
}

}  // namespace nsameta::test
