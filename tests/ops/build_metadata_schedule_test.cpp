// DeepGEMM's paged-MQA schedule of every variant, against the walk of the oracle.
#include "tests/support/execution_test.h"

namespace nsameta::test {
namespace {

constexpr nsameta_mqa_variant kVariants[] = {NSAMETA_MQA_V1, NSAMETA_MQA_APR26, NSAMETA_MQA_SM90_JUN26,
                                             NSAMETA_MQA_SM100_JUN26};

class build_metadata_schedule : public execution_test {
 protected:
  // Every variant of the case, for each number of SMs, from kv and from visible.
  void check_all(metadata_case c, const std::vector<int>& num_sms) {
    c.want({output_id::paged_mqa_schedule});
    for (const auto variant : kVariants) {
      for (const auto lengths : {NSAMETA_MQA_LENGTHS_KV, NSAMETA_MQA_LENGTHS_VISIBLE}) {
        for (const int sms : num_sms) {
          c.inputs.mqa_variant = variant;
          c.mqa_lengths = lengths;
          c.num_sms = sms;
          check(c);
          if (HasFatalFailure()) return;
        }
      }
    }
  }

  random_source random_{73};
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_schedule);

TEST_P(build_metadata_schedule, random_lengths_of_every_batch) {
  for (const int64_t batch : {1, 31, 32, 33, 255, 256, 257, 1000, 4097}) {
    check_all(decode_case(random_lengths(random_, batch, 0, random_.pick({2000, 200'000}))), {1, 78, 132, 148});
    if (HasFatalFailure()) return;
  }
}

TEST_P(build_metadata_schedule, thirty_two_thousand_requests) {
  check_all(decode_case(random_lengths(random_, 32'768, 0, 100'000)), {1, 78, 132, 148});
}

TEST_P(build_metadata_schedule, every_number_of_sms) {
  for (const int sms : {1, 2, 3, 7, 31, 32, 33, 63, 64, 65, 78, 132, 148, 256, 511, 512}) {
    check_all(decode_case(random_lengths(random_, 20, 0, 9000)), {sms});
  }
}

TEST_P(build_metadata_schedule, lengths_around_segments) {
  check_all(decode_case({0, 1, 255, 256, 257, 0, 511, 512, 513, 0}), {1, 2, 7, 78, 512});
  check_all(decode_case({0, 0, 1}), {1, 132});
  check_all(decode_case({1, 0, 0}), {1, 132});
}

TEST_P(build_metadata_schedule, tokens_of_every_mode) {
  for (const int64_t batch : {1, 32, 200, 1500}) {
    check_all(verify_case(random_lengths(random_, batch, 0, 5000), 3), {132});
    auto draft = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, random_lengths(random_, batch, 0, 5000),
                             random_lengths(random_, batch, 0, 6));
    check_all(draft, {78, 148});
    draft.clamp = NSAMETA_CLAMP_OFF;  // negative visible lengths count as 0
    for (auto& kv : draft.inputs.seq_lens) kv %= 8;
    check_all(draft, {78});
    auto extend = draft;
    extend.inputs.mode = NSAMETA_MODE_EXTEND;
    extend.mqa_lengths = NSAMETA_MQA_LENGTHS_DEFAULT;
    check(extend.want({output_id::paged_mqa_schedule}));
    if (HasFatalFailure()) return;
  }
}

TEST_P(build_metadata_schedule, long_prefill_by_token) {
  check_all(ragged_case(NSAMETA_MODE_EXTEND, {20'000, 300, 70'000}, {8192, 300, 5000}), {132});
}

TEST_P(build_metadata_schedule, far_negative_visible_lengths_count_as_zero) {
  auto c = ragged_case(NSAMETA_MODE_EXTEND, {1, 0, 700, 3}, {1500, 600, 4, 900});
  check_all(c, {1, 7, 132});
}

TEST_P(build_metadata_schedule, atoms) {
  for (const auto variant : kVariants) {
    for (const int next_n : {1, 2, 3, 4, 5, 6, 7, 8, 63, 64, 65'536}) {
      auto c = decode_case(random_lengths(random_, 50, 0, 5000)).want({output_id::paged_mqa_schedule});
      c.mqa_lengths = NSAMETA_MQA_LENGTHS_KV;
      c.inputs.mqa_variant = variant;
      c.inputs.mqa_next_n = next_n;
      check(c);
      auto verify = verify_case(c.inputs.seq_lens, 4).want({output_id::paged_mqa_schedule});
      verify.mqa_lengths = NSAMETA_MQA_LENGTHS_KV;
      verify.inputs.mqa_variant = variant;
      verify.inputs.mqa_next_n = next_n;
      check(verify);
    }
  }
}

TEST_P(build_metadata_schedule, requests_with_different_query_tokens) {
  for (const int64_t batch : {1, 33, 1000, 5000}) {
    check_all(
        ragged_case(NSAMETA_MODE_EXTEND, random_lengths(random_, batch, 0, 5000), random_lengths(random_, batch, 0, 5)),
        {7, 132});
    if (HasFatalFailure()) return;
  }
}

TEST_P(build_metadata_schedule, nothing_to_do) {
  check_all(decode_case({}), {1, 132, 512});
  check_all(decode_case({0, 0, 0}), {1, 132});
  check_all(ragged_case(NSAMETA_MODE_EXTEND, {500, 600}, {0, 0}), {1, 132});
  check_all(ragged_case(NSAMETA_MODE_EXTEND, {500, 0, 600}, {0, 3, 0}), {1, 132});
}

TEST_P(build_metadata_schedule, sums_beyond_int32) {
  // 400 lengths of nearly 2^31 keys are over 2^31 segments; with atoms 2^47.
  auto c = decode_case(std::vector<int64_t>(400, INT32_MAX - 7));
  check_all(c, {1, 132, 512});
  c.inputs.mqa_next_n = 65'535;
  c.mqa_lengths = NSAMETA_MQA_LENGTHS_KV;
  c.inputs.mqa_variant = NSAMETA_MQA_APR26;
  check(c.want({output_id::paged_mqa_schedule}));
}

TEST_P(build_metadata_schedule, beside_all_other_outputs) {
  for (const auto variant : kVariants) {
    for (const int64_t batch : {5, 300}) {
      auto c = verify_case(random_lengths(random_, batch, 0, 300), 2).with_pool(random_).want_all();
      c.inputs.mqa_variant = variant;
      check(c);
    }
  }
}

TEST_P(build_metadata_schedule, tokens_over_capacity_change_nothing) {
  auto c = random_ragged_case(random_, NSAMETA_MODE_DRAFT_EXTEND, 60, 8);
  c.want({output_id::paged_mqa_schedule, output_id::seqlens_expanded}).with_slack(-100);
  check(c);
}

}  // namespace
}  // namespace nsameta::test
