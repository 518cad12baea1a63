// Fixture of tests of any operation, on every execution.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/support/execution_test.h"
#include "tests/support/handles.h"

namespace nsameta::test {

// One call of an operation, bound to memory of a context.
class bound_call {
 public:
  virtual ~bound_call() = default;
  virtual nsameta_op op() const = 0;
  virtual const void* args() const = 0;
  virtual nsameta_status run_once(void* stream) = 0;

  // Poisons all memory and stores inputs that differ from the last ones.
  virtual void reset() = 0;
  // After a run: every byte is right and so is the fault, which is cleared. count: see nsameta_plan_run; -1: all.
  virtual testing::AssertionResult holds(int64_t count) = 0;
  // Nothing was written since reset().
  virtual testing::AssertionResult is_untouched() = 0;
};

class op_test : public execution_test {
 protected:
  // One-shot and by a plan, as the execution says.
  void check(bound_call& call);
  // A plan of the call for the first `count`.
  void check_plan(bound_call& call, nsameta_plan* plan, int32_t count);
  plan_handle create_plan(const bound_call& call);

  // `run` must refuse with a message that holds all parts, and leave the call's memory alone.
  void expect_refused(bound_call& call, const std::function<nsameta_status()>& run,
                      const std::vector<std::string>& parts, nsameta_status expected = NSAMETA_INVALID_ARGUMENT);
  // One-shot and a plan refuse what args() is now.
  void check_refused(bound_call& call, const std::vector<std::string>& parts);
  // Captures are refused where a run must synchronise.
  void check_staged_capture(bound_call& call);

 private:
  void run(bound_call& call, const std::function<nsameta_status()>& launch, int64_t count);
};

// A fault that the context has must be one of `allowed`, the first of them where the CPU computed. Clears it.
testing::AssertionResult take_fault(nsameta_context* context, const std::vector<nsameta_fault>& allowed);

}  // namespace nsameta::test
