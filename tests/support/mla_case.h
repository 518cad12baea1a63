// One call of mla_schedule: its inputs, how seq_lens lies in memory, and what memory must hold afterwards.
#pragma once

#include <optional>

#include "reference/mla_schedule.h"
#include "tests/support/device_block.h"
#include "tests/support/op_test.h"

namespace nsameta::test {

struct mla_case {
  reference::mla_inputs inputs;
  nsameta_dtype dtype = NSAMETA_INT32;
  int64_t stride = 1;
  int64_t slack = 0;        // spare elements at the end of num_splits
  bool has_lengths = true;  // else the batch is given, and topk
  // Instead of the oracle's, where it would count for seconds; of lengths that read the same backwards.
  std::optional<reference::mla_schedule> by_hand{};
};

class bound_mla final : public bound_call {
 public:
  bound_mla(nsameta_context* context, void* stream, mla_case c, device_memory* memory = nullptr);

  nsameta_op op() const override { return NSAMETA_OP_MLA_SCHEDULE; }
  const void* args() const override { return &args_; }
  nsameta_status run_once(void* stream) override { return nsameta_mla_schedule(context_, &args_, stream); }
  void reset() override;
  testing::AssertionResult holds(int64_t count) override;
  testing::AssertionResult is_untouched() override { return block_.is_untouched(); }

  // To be spoilt.
  nsameta_mla_schedule_args& mutable_args() { return args_; }

 private:
  nsameta_tensor vector_tensor(int region, int64_t size, int64_t stride, nsameta_dtype dtype) const;
  void make_args();

  nsameta_context* context_;
  mla_case case_;
  device_block block_;
  int lengths_ = -1;
  int parts_ = -1;
  int splits_ = -1;
  nsameta_mla_schedule_args args_{};
  uint32_t salt_ = 0;
};

}  // namespace nsameta::test
