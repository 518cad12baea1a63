// out_slots and page_table_1_flattened.
#include "tests/support/execution_test.h"

namespace nsameta::test {
namespace {

class build_metadata_slots : public execution_test {
 protected:
  metadata_case ragged(int64_t batch, int64_t max_query) {
    auto c = random_ragged_case(random_, NSAMETA_MODE_EXTEND, batch, max_query);
    for (size_t r = 0; r < c.inputs.seq_lens.size(); ++r) {
      c.inputs.seq_lens[r] = c.inputs.extend_seq_lens[r] + random_.in(0, 200);
    }
    return c.with_pool(random_);
  }
  random_source random_{71};
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_slots);

TEST_P(build_metadata_slots, each_mode) {
  const auto wanted = {output_id::out_slots, output_id::page_table_1_flattened};
  for (const int64_t batch : {1, 2, 33, 300}) {
    check(decode_case(random_lengths(random_, batch, 0, 200)).with_pool(random_).want(wanted));
    check(verify_case(random_lengths(random_, batch, 0, 200), 4).with_pool(random_).want(wanted));
    check(ragged(batch, 7).want(wanted));
  }
}

TEST_P(build_metadata_slots, slots_of_padded_rows_are_none) {
  // kv < q: positions kv - q + j below 0, whatever clamp says.
  for (const auto clamp : {NSAMETA_CLAMP_OFF, NSAMETA_CLAMP_ON}) {
    auto c = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, {0, 2, 5, 40}, {3, 4, 5, 6}).with_pool(random_).want_all();
    c.clamp = clamp;
    check(c);
  }
  check(decode_case({0, 3, 0}).with_pool(random_).want_all());
}

TEST_P(build_metadata_slots, dtypes_offsets_and_tails) {
  for (const auto tail : {NSAMETA_TAIL_KEEP, NSAMETA_TAIL_ZERO, NSAMETA_TAIL_LAST, NSAMETA_TAIL_MINUS_ONE}) {
    for (const int64_t offset : {0, 1, 2, 3}) {
      auto c = ragged(20, 9).want({output_id::out_slots, output_id::page_table_1_flattened}).with_slack(13);
      c.tail = tail;
      c.out_slots_dtype = offset % 2 == 0 ? NSAMETA_INT64 : NSAMETA_INT32;
      c.at(output_id::out_slots).offset_elements = offset;
      c.at(output_id::page_table_1_flattened).offset_elements = 3 - offset;
      c.at(output_id::page_table_1_flattened).slack = offset * 50;
      check(c);
    }
  }
}

TEST_P(build_metadata_slots, pool_indices_of_every_dtype_and_stride) {
  for (const auto dtype : {NSAMETA_INT32, NSAMETA_INT64}) {
    for (const int64_t stride : {1, 2, -1, -3, 0}) {
      auto c = ragged(40, 5).want_all();
      c.req_pool_indices = {dtype, stride, 1};
      check(c);
      c.spare_requests = 7;
      check(c);
    }
  }
}

TEST_P(build_metadata_slots, flattened_of_long_and_empty_requests) {
  auto c = decode_case({0, 0, 50'000, 0, 1, 7'777, 0}).with_pool(random_).want({output_id::page_table_1_flattened});
  check(c);
  c.req_to_token = {.is_column_major = true};
  check(c);
}

TEST_P(build_metadata_slots, long_prefill) {
  auto c = ragged_case(NSAMETA_MODE_EXTEND, {9'000, 12, 4'000}, {8'192, 12, 1}).with_pool(random_);
  check(c.want({output_id::out_slots, output_id::page_table_1_flattened, output_id::positions}));
}

}  // namespace
}  // namespace nsameta::test
