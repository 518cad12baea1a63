// Fixture of tests that run on every execution: a context, a stream, and proof that the named backend really ran.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/support/bound_case.h"
#include "tests/support/executions.h"

namespace nsameta::test {

class execution_test : public testing::TestWithParam<execution> {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Runs the case one-shot and by a plan, as the execution says, and checks every byte after each run.
  void check(const metadata_case& c);

  // The same for any way of handing a bound case to the library.
  using launch_fn = std::function<nsameta_status(const bound_case& bound)>;
  void check_launch(const metadata_case& c, const launch_fn& launch);

  // `change` spoils good args: one-shot and plan must both refuse them with a message that holds all `parts`, and write
  // nothing.
  void check_refused(const metadata_case& c, const std::function<void(nsameta_build_metadata_args*)>& change,
                     const std::vector<std::string>& parts);

  nsameta_context* context() const { return context_; }
  void* stream() const { return stream_; }
  // The test launches nothing on purpose.
  void expect_no_launch() { expects_launch_ = false; }

 private:
  void run_eager(bound_case& bound, const std::function<nsameta_status()>& launch);
  void run_graph(bound_case& bound, const std::function<nsameta_status()>& launch);
  void run(bound_case& bound, const std::function<nsameta_status()>& launch);

  nsameta_context* context_ = nullptr;
  void* stream_ = nullptr;
  bool expects_launch_ = true;
};

std::string execution_name(const testing::TestParamInfo<execution>& info);

// Makes `fixture` run on every execution.
#define NSAMETA_TEST_ALL_EXECUTIONS(fixture) \
  INSTANTIATE_TEST_SUITE_P(, fixture, testing::ValuesIn(nsameta::test::executions()), nsameta::test::execution_name)

}  // namespace nsameta::test
