// Whatever the CPU backend's policy chooses (serial, parallel, streamed; ranges and chunks of any size), the results
// are the same. Small data reaches every path, since the policy is given.
#include <limits>
#include <string>

#include "backends/cpu/build_metadata.h"
#include "core/ops/build_metadata.h"
#include "tests/support/bound_case.h"
#include "tests/support/random_case.h"

namespace nsameta::test {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

class build_metadata_cpu_paths : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(nsameta_context_create({NSAMETA_DEVICE_CPU, 0}, "cpu", &context_), NSAMETA_OK)
        << nsameta_last_error_message();
  }
  void TearDown() override { nsameta_context_destroy(context_); }

  void check(const metadata_case& c, const cpu::policy& policy) {
    SCOPED_TRACE(cpu::to_string(policy));
    bound_case bound(context_, nullptr, c);
    const auto& inputs = bound.description().inputs;
    ASSERT_NO_FATAL_FAILURE(bound.reset(inputs));
    nsameta_build_metadata_desc desc{};
    ASSERT_EQ(build_metadata::check(&bound.args(), {NSAMETA_DEVICE_CPU, 0}, &desc), NSAMETA_OK);
    uint64_t fault_word = 0;
    cpu::build_metadata(desc, policy, &fault_word);
    const auto expected = bound.expected_of(inputs);
    ASSERT_TRUE(bound.has_right_bytes(expected));
    if (!expected.faults.empty()) {
      EXPECT_NE(fault_word, 0U);
    }
  }

  nsameta_context* context_ = nullptr;
};

// Everything in parallel, in ranges of a few tokens.
cpu::policy fine_policy(int64_t min_stream_bytes) {
  return {.min_parallel_bytes = 0,
          .min_bytes_per_range = 16,
          .num_ranges_per_thread = 64,
          .request_weight_tokens = 1,
          .min_stream_bytes = min_stream_bytes,
          .min_requests_per_chunk = 7};
}

cpu::policy draw_policy(random_source& random) {
  return {.min_parallel_bytes = random.pick<int64_t>({0, 0, 0, 1000, kNever}),
          .min_bytes_per_range = random.pick<int64_t>({0, 1, 16, 300, 65'536}),
          .num_ranges_per_thread = static_cast<int32_t>(random.in(1, 64)),
          .request_weight_tokens = static_cast<int32_t>(random.in(0, 9)),
          .min_stream_bytes = random.chance(50) ? 0 : kNever,
          .min_requests_per_chunk = static_cast<int32_t>(random.pick({1, 2, 7, 64, 1024}))};
}

TEST_F(build_metadata_cpu_paths, random_cases_and_policies) {
  for (uint64_t i = 0; i < 1000; ++i) {
    random_source random(2'000'000 + i);
    SCOPED_TRACE("NSAMETA_TEST_SEED=" + std::to_string(seed()) + ", case " + std::to_string(i));
    auto c = draw_case(random);
    if (random.chance(10) && !has_constant_query(c.inputs) && !c.inputs.extend_seq_lens.empty()) {
      c.inputs.extend_seq_lens[0] = random.in(3000, 40'000);
    }
    check(c, draw_policy(random));
    if (HasFailure()) return;
  }
}

TEST_F(build_metadata_cpu_paths, streamed_outputs_at_any_alignment) {
  random_source random(60);
  for (int64_t offset = 0; offset < 16; ++offset) {
    for (const auto dtype : {NSAMETA_INT32, NSAMETA_INT64}) {
      auto c = random_ragged_case(random, NSAMETA_MODE_EXTEND, 40, 900).want_all().with_slack(offset);
      for (auto& output : c.outputs) output.offset_elements = offset;
      c.positions_dtype = dtype;
      c.tail = NSAMETA_TAIL_LAST;
      c.inputs.kpool = offset % 3 == 0 ? 64 : 1;
      check(c, fine_policy(0));
      check(c, fine_policy(kNever));
    }
    if (HasFailure()) return;
  }
}

TEST_F(build_metadata_cpu_paths, one_long_request_is_split) {
  random_source random(61);
  for (const size_t place : {0U, 150U, 299U}) {
    auto c = random_ragged_case(random, NSAMETA_MODE_DRAFT_EXTEND, 300, 2).want_all();
    c.inputs.extend_seq_lens[place] = 100'000;
    for (const int64_t kv : {int64_t{0}, int64_t{50'000}, int64_t{400'000}, int64_t{INT32_MAX}}) {
      c.inputs.seq_lens[place] = kv;
      check(c, fine_policy(0));
      check(c, fine_policy(kNever));
    }
  }
}

}  // namespace
}  // namespace nsameta::test
