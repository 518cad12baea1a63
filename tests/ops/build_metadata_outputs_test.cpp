// Any subset of the outputs, in any place in memory, from inputs of any dtype and stride.
#include "tests/support/execution_test.h"

namespace nsameta::test {
namespace {

class build_metadata_outputs : public execution_test {
 protected:
  metadata_case some_case() {
    auto c = random_ragged_case(random_, NSAMETA_MODE_EXTEND, 37, 9);
    c.inputs.topk = 256;
    for (auto& kv : c.inputs.seq_lens) kv %= 300;
    return c.with_pool(random_);
  }
  random_source random_{20};
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_outputs);

TEST_P(build_metadata_outputs, each_alone) {
  for (size_t output = 0; output < kNumOutputs; ++output) {
    for (const auto tail : {NSAMETA_TAIL_KEEP, NSAMETA_TAIL_LAST}) {
      auto c = some_case().with_slack(5);
      c.tail = tail;
      c.outputs[output].is_wanted = true;
      SCOPED_TRACE(output_name(static_cast<int>(output)));
      check(c);
    }
  }
}

TEST_P(build_metadata_outputs, all_together) { check(some_case().want_all()); }

TEST_P(build_metadata_outputs, random_subsets) {
  for (int i = 0; i < 100; ++i) {
    auto c = some_case();
    for (auto& output : c.outputs) output.is_wanted = random_.chance(40);
    c.want({output_id::nsa_cache_seqlens});
    check(c);
    if (HasFatalFailure()) return;
  }
}

TEST_P(build_metadata_outputs, wide_positions) {
  for (const int64_t offset : {0, 1, 2, 3}) {
    auto c = some_case().want_all().with_slack(11);
    c.positions_dtype = NSAMETA_INT64;
    c.tail = NSAMETA_TAIL_MINUS_ONE;
    c.at(output_id::positions).offset_elements = offset;
    check(c);
  }
  auto padded = ragged_case(NSAMETA_MODE_EXTEND, {0, 2}, {5, 3}).want_all();  // negative positions keep their sign
  padded.positions_dtype = NSAMETA_INT64;
  check(padded);
}

TEST_P(build_metadata_outputs, misaligned_bases) {
  for (size_t output = 0; output < kNumOutputs; ++output) {
    for (const int64_t offset : {1, 2, 3}) {
      auto c = some_case().want_all();
      c.outputs[output].offset_elements = offset;
      check(c);
    }
  }
}

TEST_P(build_metadata_outputs, misaligned_bases_of_long_outputs) {
  for (int64_t offset = 0; offset < 4; ++offset) {
    auto c = random_ragged_case(random_, NSAMETA_MODE_EXTEND, 6, 9000).want_all();
    for (auto& output : c.outputs) output.offset_elements = (offset + random_.in(0, 3)) % 4;
    c.positions_dtype = offset % 2 == 0 ? NSAMETA_INT32 : NSAMETA_INT64;
    check(c);
  }
}

TEST_P(build_metadata_outputs, inputs_of_every_dtype_and_stride) {
  for (const auto dtype : {NSAMETA_INT32, NSAMETA_INT64}) {
    for (const int64_t stride : {1, 2, 3, -1, -2, 0}) {
      for (const int64_t offset : {0, 1, 3}) {
        auto c = some_case().want_all();
        c.seq_lens = {dtype, stride, offset};
        c.extend_seq_lens = {dtype == NSAMETA_INT32 ? NSAMETA_INT64 : NSAMETA_INT32, -stride, 3 - offset};
        check(c);
        c.inputs.mode = NSAMETA_MODE_TARGET_VERIFY;
        c.inputs.tokens_per_request = 4;
        check(c);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(build_metadata_outputs, strided_inputs_of_large_batches) {
  for (const auto dtype : {NSAMETA_INT32, NSAMETA_INT64}) {
    for (const int64_t stride : {2, 3, -1, 0}) {
      auto c = random_ragged_case(random_, NSAMETA_MODE_EXTEND, 5000, 3).want_all();
      c.seq_lens = {dtype, stride, 1};
      c.extend_seq_lens = {dtype, stride, 2};
      check(c);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(build_metadata_outputs, int64_inputs_are_cut_to_int32) {
  auto c = ragged_case(NSAMETA_MODE_EXTEND, {(int64_t{1} << 32) + 9, (int64_t{5} << 32) + 700, 30},
                       {(int64_t{1} << 33) + 2, 3, (int64_t{-1} << 32) + 4})
               .want_all();
  c.seq_lens.dtype = NSAMETA_INT64;
  c.extend_seq_lens.dtype = NSAMETA_INT64;
  check(c);
}

TEST_P(build_metadata_outputs, inputs_longer_than_the_batch) {
  for (const int64_t stride : {1, -2}) {
    auto c = some_case().want_all();
    c.spare_requests = 10;
    c.seq_lens.stride = stride;
    c.extend_seq_lens.stride = stride;
    check(c);
  }
}

TEST_P(build_metadata_outputs, ctx_lens_rows) {
  for (const int columns : {1, 2, 4, 7, 65}) {
    for (const int64_t row_slack : {0, 1, 5}) {
      auto c = some_case().want({output_id::paged_mqa_ctx_lens_2d, output_id::cu_seqlens_k});
      c.ctx_lens_columns = columns;
      c.ctx_lens_row_slack = row_slack;
      c.at(output_id::paged_mqa_ctx_lens_2d).slack = 2;
      c.at(output_id::paged_mqa_ctx_lens_2d).offset_elements = row_slack % 4;
      check(c);
    }
  }
}

}  // namespace
}  // namespace nsameta::test
