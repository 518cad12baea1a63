// Whatever the CPU backend's policy chooses (serial, parallel, streamed; ranges and chunks of any size), the results
// are the same. Small data reaches every path, since the policy is given.
#include <algorithm>
#include <limits>
#include <string>

#include "backends/cpu/build_metadata.h"
#include "backends/cpu/settings.h"
#include "core/ops/build_metadata.h"
#include "tests/support/bound_case.h"
#include "tests/support/random_case.h"

namespace nsameta::test {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

class build_metadata_cpu_paths : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string& error = cpu::process_settings().error; !error.empty()) GTEST_SKIP() << error;
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
    cpu::build_metadata(desc, *cpu::process_settings().loops, policy, &fault_word);
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
          .stream_bytes_of_thread = min_stream_bytes,
          .min_requests_per_chunk = 7,
          .min_all_nodes_bytes = 0};
}

cpu::policy draw_policy(random_source& random) {
  return {.min_parallel_bytes = random.pick<int64_t>({0, 0, 0, 1000, kNever}),
          .min_bytes_per_range = random.pick<int64_t>({0, 1, 16, 300, 65'536}),
          .num_ranges_per_thread = static_cast<int32_t>(random.in(1, 64)),
          .request_weight_tokens = static_cast<int32_t>(random.in(0, 9)),
          .min_stream_bytes = random.chance(30) ? 0 : kNever,
          .stream_bytes_of_thread = random.pick<int64_t>({0, 300, kNever, kNever}),
          .min_requests_per_chunk = static_cast<int32_t>(random.pick({1, 2, 7, 64, 1024})),
          .min_all_nodes_bytes = 0};
}

TEST_F(build_metadata_cpu_paths, random_cases_and_policies) {
  for (uint64_t i = 0; i < 1000; ++i) {
    random_source random(2'000'000 + i);
    SCOPED_TRACE("NSAMETA_TEST_SEED=" + std::to_string(seed()) + ", case " + std::to_string(i));
    auto c = draw_case(random);
    // One long request, where that does not mean many rows of a table, or as many tokens for every request.
    const bool may_be_long =
        c.pool == nullptr && !has_constant_query(c.inputs) && !c.inputs.static_width && c.extend_seq_lens.stride != 0;
    if (random.chance(10) && may_be_long && !c.inputs.extend_seq_lens.empty()) {
      c.inputs.extend_seq_lens[0] = random.in(3000, 40'000);
    }
    check(c, draw_policy(random));
    if (HasFailure()) return;
  }
}

// Short queries, each length drawn: everything that is summed over the batch, and the path that the library takes.
TEST_F(build_metadata_cpu_paths, one_million_requests) {
  constexpr int64_t kBatch = 1'000'000;
  random_source random(67);
  auto c = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, random_lengths(random, kBatch, 0, 2000),
                       random_lengths(random, kBatch, 0, 3));
  c.want({output_id::seqlens_expanded, output_id::nsa_cache_seqlens, output_id::nsa_cu_seqlens_k,
          output_id::cu_seqlens_k, output_id::cu_seqlens_q, output_id::token_to_batch_idx, output_id::total_tokens});
  check(c, cpu::default_policy());
  auto single = decode_case(random_lengths(random, kBatch, 0, 2000));
  single.want({output_id::cache_seqlens, output_id::nsa_cache_seqlens, output_id::cu_seqlens_k});
  check(single, cpu::default_policy());
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

// Tables, the flattened one, out_slots: what reads req_to_token.
const std::initializer_list<output_id> kSlotOutputs = {output_id::out_slots, output_id::page_table_1,
                                                       output_id::real_page_table, output_id::page_table_1_flattened};

// Pieces, their ends and the parts of threads, with rows that begin anywhere in a cache line.
TEST_F(build_metadata_cpu_paths, streamed_tables_at_any_alignment) {
  random_source random(62);
  for (int64_t offset = 0; offset < 16; ++offset) {
    auto c = verify_case(random_lengths(random, 6, 0, 9000), 3).with_pool(random).want(kSlotOutputs);
    c.inputs.page_size = 1 << (1 + offset % 8);
    c.inputs.table_width = static_cast<int>(offset % 3);
    for (auto& output : c.outputs) output.offset_elements = offset;
    c.page_table_1.memory.padding = offset % 7;
    c.real_page_table.memory.padding = offset % 5;
    c.pool_offset_elements = offset % 3;
    for (const int64_t bound : {int64_t{0}, kNever}) check(c, fine_policy(bound));
    c.at(output_id::page_table_1).is_wanted = c.at(output_id::page_table_1_flattened).is_wanted = false;
    for (const int64_t bound : {int64_t{0}, kNever}) check(c, fine_policy(bound));
    if (HasFailure()) return;
  }
}

TEST_F(build_metadata_cpu_paths, tables_of_any_strides) {
  random_source random(63);
  for (const auto& memory : {matrix_layout{.is_column_major = true}, matrix_layout{.inner_step = 3},
                             matrix_layout{.has_rows_reversed = true, .has_columns_reversed = true, .padding = 9}}) {
    for (const auto& pool : {matrix_layout{}, matrix_layout{.is_column_major = true}, memory}) {
      auto c = verify_case(random_lengths(random, 5, 0, 5000), 2).with_pool(random).want(kSlotOutputs);
      c.inputs.page_size = 64;
      c.page_table_1.memory = c.real_page_table.memory = memory;
      c.req_to_token = pool;
      for (const int64_t bound : {int64_t{0}, kNever}) check(c, fine_policy(bound));
      if (HasFailure()) return;
    }
  }
}

TEST_F(build_metadata_cpu_paths, one_long_table_row_is_split) {
  random_source random(64);
  for (const size_t place : {0U, 20U, 39U}) {
    auto lengths = random_lengths(random, 40, 0, 200);
    lengths[place] = 150'000;
    auto c = decode_case(lengths).with_pool(random).want_all();
    c.inputs.page_size = 64;
    c.inputs.table_width = NSAMETA_TABLE_EXACT;
    for (const int64_t bound : {int64_t{0}, kNever}) check(c, fine_policy(bound));
  }
}

// Several blocks in several chunks, with a plan of few tokens, and destinations of other sizes.
TEST_F(build_metadata_cpu_paths, large_batches_of_everything) {
  random_source random(65);
  for (const int max_query : {0, 1, 6}) {
    std::vector<int64_t> queries(3000, 0);
    for (size_t r = 0; r < queries.size(); r += max_query == 0 ? 97 : 1)
      queries[r] = random.in(0, std::max(max_query, 9));
    auto c = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, random_lengths(random, 3000, 0, 400), queries);
    c = c.with_pool(random, 380).want_all();
    c.inputs.page_size = 16;
    c.inputs.topk_plan_clusters = 0;
    c.inputs.topk_plan_threshold = 100;
    c.more_sets.push_back(c);
    c.more_sets[0].num_sms = 7;
    c.more_sets[0].page_table_1.num_columns = 100;
    for (const auto variant : {NSAMETA_MQA_V1, NSAMETA_MQA_SM90_JUN26, NSAMETA_MQA_SM100_JUN26}) {
      c.inputs.mqa_variant = variant;
      c.mqa_lengths = variant == NSAMETA_MQA_V1 ? NSAMETA_MQA_LENGTHS_VISIBLE : NSAMETA_MQA_LENGTHS_KV;
      c.table_rows = variant == NSAMETA_MQA_V1 ? NSAMETA_TABLE_ROWS_PER_TOKEN : NSAMETA_TABLE_ROWS_PER_REQUEST;
      for (const int64_t bound : {int64_t{0}, kNever}) check(c, fine_policy(bound));
      if (HasFailure()) return;
    }
  }
}

TEST_F(build_metadata_cpu_paths, schedules_of_many_tokens) {
  random_source random(66);
  auto c = random_ragged_case(random, NSAMETA_MODE_EXTEND, 2000, 100).want({output_id::paged_mqa_schedule});
  c.inputs.extend_seq_lens[700] = 900'000;
  c.inputs.seq_lens[700] = 1'000'000;
  c.mqa_lengths = NSAMETA_MQA_LENGTHS_VISIBLE;
  for (const auto variant : {NSAMETA_MQA_V1, NSAMETA_MQA_APR26, NSAMETA_MQA_SM90_JUN26, NSAMETA_MQA_SM100_JUN26}) {
    for (const int num_sms : {1, 132, 512}) {
      c.inputs.mqa_variant = variant;
      c.num_sms = num_sms;
      check(c, fine_policy(kNever));
    }
  }
}

}  // namespace
}  // namespace nsameta::test
