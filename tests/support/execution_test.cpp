#include "tests/support/execution_test.h"

#include "tests/support/handles.h"

namespace nsameta::test {
std::string execution_name(const testing::TestParamInfo<execution>& info) { return info.param.name; }

void execution_test::SetUp() {
  const auto& e = GetParam();
  if (!e.skip_reason.empty()) {
    if (e.is_required) FAIL() << "NSAMETA_REQUIRE_BACKENDS holds " << e.owner << ", but: " << e.skip_reason;
    GTEST_SKIP() << e.skip_reason;
  }
  ASSERT_EQ(nsameta_context_create(e.device, e.backend.c_str(), &context_), NSAMETA_OK) << nsameta_last_error_message();
  ASSERT_EQ(nsameta_stream_create(context_, &stream_), NSAMETA_OK) << nsameta_last_error_message();
}

void execution_test::TearDown() {
  if (context_ == nullptr) return;
  EXPECT_EQ(nsameta_context_backend(context_), GetParam().backend);
  EXPECT_EQ(nsameta_context_is_staged(context_) != 0, GetParam().kind == execution_kind::staged);
  EXPECT_EQ(nsameta_context_num_launches(context_) > 0, expects_launch_) << "launches of this test's context";
  if (stream_ != nullptr) nsameta_stream_destroy(context_, stream_);
  nsameta_context_destroy(context_);
}

void execution_test::run_eager(bound_case& bound, const std::function<nsameta_status()>& launch) {
  const auto& inputs = bound.description().inputs;
  ASSERT_NO_FATAL_FAILURE(bound.reset(inputs));
  ASSERT_EQ(launch(), NSAMETA_OK) << nsameta_last_error_message() << "\n" << bound.description();
  ASSERT_EQ(nsameta_synchronize(context_, stream_), NSAMETA_OK) << nsameta_last_error_message();
  EXPECT_TRUE(bound.holds(inputs));
}

void execution_test::run_graph(bound_case& bound, const std::function<nsameta_status()>& launch) {
  ASSERT_NO_FATAL_FAILURE(bound.reset(bound.description().inputs));
  ASSERT_EQ(nsameta_graph_begin(context_, stream_), NSAMETA_OK) << nsameta_last_error_message();
  EXPECT_EQ(launch(), NSAMETA_OK) << nsameta_last_error_message() << "\n" << bound.description();
  nsameta_graph* captured = nullptr;
  ASSERT_EQ(nsameta_graph_end(context_, stream_, &captured), NSAMETA_OK) << nsameta_last_error_message();
  const graph_handle graph(captured);
  EXPECT_TRUE(bound.is_untouched()) << "written during the capture";
  for (const auto& inputs : {bound.description().inputs, changed(bound.description().inputs)}) {
    ASSERT_NO_FATAL_FAILURE(bound.reset(inputs));
    ASSERT_EQ(nsameta_graph_launch(graph.get(), stream_), NSAMETA_OK) << nsameta_last_error_message();
    ASSERT_EQ(nsameta_synchronize(context_, stream_), NSAMETA_OK) << nsameta_last_error_message();
    ASSERT_TRUE(bound.holds(inputs));
  }
}

void execution_test::run(bound_case& bound, const std::function<nsameta_status()>& launch) {
  const uint64_t launches = nsameta_context_num_launches(context_);
  if (GetParam().kind == execution_kind::graph) {
    ASSERT_NO_FATAL_FAILURE(run_graph(bound, launch));
  } else {
    ASSERT_NO_FATAL_FAILURE(run_eager(bound, launch));
  }
  EXPECT_EQ(nsameta_context_num_launches(context_), launches + 1);
}

void execution_test::check_launch(const metadata_case& c, const launch_fn& launch) {
  bound_case bound(context_, stream_, c);
  ASSERT_FALSE(HasFatalFailure());
  run(bound, [&] { return launch(bound); });
}

void execution_test::check(const metadata_case& c) {
  bound_case bound(context_, stream_, c);
  {
    SCOPED_TRACE("one-shot");
    ASSERT_NO_FATAL_FAILURE(run(bound, [&] { return nsameta_build_metadata(context_, &bound.args(), stream_); }));
  }
  SCOPED_TRACE("plan");
  nsameta_plan* created = nullptr;
  ASSERT_EQ(nsameta_plan_create(context_, NSAMETA_OP_BUILD_METADATA, &bound.args(), &created), NSAMETA_OK)
      << nsameta_last_error_message();
  const plan_handle plan(created);
  run(bound, [&] { return nsameta_plan_run(plan.get(), -1, -1, -1, stream_); });
}

void execution_test::check_refused(const metadata_case& c,
                                   const std::function<void(nsameta_build_metadata_args*)>& change,
                                   const std::vector<std::string>& parts) {
  bound_case bound(context_, stream_, c);
  ASSERT_NO_FATAL_FAILURE(bound.reset(bound.description().inputs));
  auto args = bound.args();
  change(&args);
  nsameta_plan* plan = nullptr;
  const uint64_t launches = nsameta_context_num_launches(context_);
  for (const bool by_plan : {false, true}) {
    SCOPED_TRACE(by_plan ? "plan" : "one-shot");
    const auto status = by_plan ? nsameta_plan_create(context_, NSAMETA_OP_BUILD_METADATA, &args, &plan)
                                : nsameta_build_metadata(context_, &args, stream_);
    EXPECT_EQ(status, NSAMETA_INVALID_ARGUMENT);
    EXPECT_EQ(plan, nullptr);
    const std::string message = status == NSAMETA_OK ? "" : nsameta_last_error_message();
    for (const auto& part : parts) {
      EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' is not in: " << message;
    }
    ASSERT_EQ(nsameta_synchronize(context_, stream_), NSAMETA_OK);
    EXPECT_TRUE(bound.is_untouched());
  }
  EXPECT_EQ(nsameta_context_num_launches(context_), launches);
}

}  // namespace nsameta::test
