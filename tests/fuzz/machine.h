// The executions of this machine, each with a context that is used for all cases.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_case.h"
#include "tests/support/executions.h"

namespace nsameta::fuzz {

class machine {
 public:
  // Those whose own, memory's or backend's name stands in `wanted`; all for an empty list. Throws std::runtime_error
  // when none of them can run.
  explicit machine(const std::vector<std::string>& wanted);
  ~machine();
  machine(const machine&) = delete;
  machine& operator=(const machine&) = delete;

  // Runs the case everywhere: "", or which execution failed how.
  std::string check(const fuzz_case& c);

  std::vector<std::string> names() const;
  const std::vector<std::string>& skipped() const { return skipped_; }  // "cuda_eager: not usable: ..."
  uint64_t num_runs() const { return num_runs_; }

 private:
  struct place;

  std::vector<std::unique_ptr<place>> places_;
  std::vector<std::string> skipped_;
  uint64_t num_runs_ = 0;
};

}  // namespace nsameta::fuzz
