// A metadata_case laid out in the memory of a context: args to call the library with, and the check of what it wrote.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/bound_set.h"
#include "tests/support/device_block.h"
#include "tests/support/metadata_case.h"

namespace nsameta::test {

class bound_case {
 public:
  bound_case(nsameta_context* context, void* stream, const metadata_case& c, device_memory* memory = nullptr);

  const nsameta_build_metadata_args& args() const { return args_; }
  const metadata_case& description() const { return case_; }

  // Poisons all memory and stores `inputs`, whose batch is at most the case's.
  void reset(const reference::metadata_inputs& inputs);

  // After a run on the inputs of the last reset() (and a synchronisation): every byte is right, and the context reports
  // the fault there is. Clears the fault.
  testing::AssertionResult holds(const reference::metadata_inputs& inputs);

  // The first half of it: every byte is right.
  testing::AssertionResult has_right_bytes(const reference::metadata& m);

  // What the oracle says of `inputs`, as far as any output has room for it.
  reference::metadata expected_of(const reference::metadata_inputs& inputs) const;

  // Faults of device data that a run reports, the first of which the CPU keeps.
  std::vector<reference::metadata_fault> faults_of(const reference::metadata& m) const;

  // Nothing was written since reset().
  testing::AssertionResult is_untouched();

 private:
  nsameta_tensor add_vector(const char* name, const input_layout& layout, int64_t count, int* region);
  void add_inputs();
  void add_sets();
  void rebase();
  void store(const input_layout& layout, const std::vector<int64_t>& lengths, int64_t count, int region);
  testing::AssertionResult has_right_fault(const reference::metadata& m);

  nsameta_context* context_;
  metadata_case case_;
  nsameta_build_metadata_args args_;
  device_block block_;
  int seq_region_ = -1;
  int extend_region_ = -1;
  int num_requests_region_ = -1;
  int pool_indices_region_ = -1;
  int pool_region_ = -1;
  placement pool_place_;
  std::vector<bound_set> sets_;
  std::vector<nsameta_metadata_outputs> more_outputs_;
  reference::metadata_inputs current_;  // of the last reset()
  uint32_t salt_ = 0;
};

// The args' tensor of an output.
nsameta_tensor& tensor_of(nsameta_build_metadata_args* args, int output);

}  // namespace nsameta::test
