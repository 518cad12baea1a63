// The oracle's tables, slots, schedules and plans against examples worked by hand. Nothing here calls the library.
#include <gtest/gtest.h>

#include "reference/build_metadata.h"

namespace nsameta::reference {
namespace {

using ints = std::vector<int32_t>;
using rows = std::vector<ints>;

// Three rows of four keys.
const ints kPool{10, 11, 12, 13, 20, 21, 22, 23, 30, 31, 32, -3};

metadata_inputs with_pool(metadata_inputs in, std::vector<int64_t> req_pool_indices) {
  in.req_pool_indices = std::move(req_pool_indices);
  in.req_to_token = kPool.data();
  in.pool_rows = 3;
  in.max_context = 4;
  in.page_size = 2;
  in.table_columns = 6;
  in.page_columns = 3;
  in.has_slots = true;
  in.has_out_slots = true;
  in.max_keys = 100;
  return in;
}

metadata_inputs decode(std::vector<int64_t> seq_lens) {
  return {.mode = NSAMETA_MODE_DECODE, .seq_lens = std::move(seq_lens), .topk = 2048};
}

TEST(reference, tables_of_each_width) {
  // Keys 0..2 of row 2, key 0 of row 0. Pages hold slots // 2 of keys 0, 2, 4.
  auto in = with_pool(decode({3, 1, 0}), {2, 0, 1});
  in.table_width = NSAMETA_TABLE_EXACT;
  auto m = build_metadata(in);
  EXPECT_EQ(m.page_table_1, (rows{{30, 31, 32}, {10}, {}}));
  EXPECT_EQ(m.real_page_table, (rows{{15, 16}, {5}, {}}));
  // 128 columns are live where there is a key, of which the table has 6 and req_to_token 4.
  in.table_width = NSAMETA_TABLE_LIVE_128;
  m = build_metadata(in);
  EXPECT_EQ(m.page_table_1, (rows{{30, 31, 32, -3, -1, -1}, {10, 11, 12, 13, -1, -1}, {}}));
  EXPECT_EQ(m.real_page_table, (rows{{15, 16, -1}, {5, 6, -1}, {}}));
  in.table_width = NSAMETA_TABLE_FULL;
  in.table_columns = 5;
  in.page_columns = 2;
  m = build_metadata(in);
  EXPECT_EQ(m.page_table_1, (rows{{30, 31, 32, -3, -1}, {10, 11, 12, 13, -1}, {20, 21, 22, 23, -1}}));
  EXPECT_EQ(m.real_page_table, (rows{{15, 16}, {5, 6}, {10, 11}}));
  EXPECT_TRUE(m.faults.empty());
}

TEST(reference, live_width_is_a_multiple_of_128_keys) {
  auto in = with_pool(decode({1, 128, 129}), {0, 0, 0});
  in.table_columns = 300;
  in.page_size = 64;
  in.page_columns = 9;
  const auto m = build_metadata(in);
  EXPECT_EQ(m.page_table_1.at(0).size(), 128U);
  EXPECT_EQ(m.page_table_1.at(1).size(), 128U);
  EXPECT_EQ(m.page_table_1.at(2).size(), 256U);
  EXPECT_EQ(m.real_page_table.at(0).size(), 2U);
  EXPECT_EQ(m.real_page_table.at(2).size(), 4U);
}

TEST(reference, pages_are_floors) {
  // Slot -3 at key 3: pages of one key, and of two where key 3 begins none.
  auto in = with_pool(decode({4}), {2});
  in.page_size = 1;
  in.page_columns = 4;
  EXPECT_EQ(build_metadata(in).real_page_table, (rows{{30, 31, 32, -3}}));
  const ints negative{-1, 0, -2, 0, -3, 0, -4, 0};
  in.req_to_token = negative.data();
  in.pool_rows = 1;
  in.max_context = 8;
  in.seq_lens = {8};
  in.req_pool_indices = {0};
  in.page_size = 2;
  EXPECT_EQ(build_metadata(in).real_page_table, (rows{{-1, -1, -2, -2}}));
}

TEST(reference, flattened_keys_and_new_slots) {
  // Token positions: request 0 is 2 (kv - 1); its keys 30, 31, 32, then key 10 of request 1.
  auto in = with_pool(decode({3, 1}), {2, 0});
  auto m = build_metadata(in);
  EXPECT_EQ(m.page_table_1_flattened, (ints{30, 31, 32, 10}));
  EXPECT_EQ(m.out_slots, (ints{32, 10}));
  EXPECT_EQ(m.total_keys, 4);
  in.max_keys = 3;
  EXPECT_EQ(build_metadata(in).page_table_1_flattened, (ints{30, 31, 32}));
  // kv = 1 < q = 3: positions -2, -1, 0. With kv = 4, q = 2: 2, 3.
  in = with_pool({.mode = NSAMETA_MODE_DRAFT_EXTEND, .seq_lens = {1, 4}, .extend_seq_lens = {3, 2}, .topk = 9}, {1, 0});
  for (const bool clamp : {false, true}) {
    in.clamp = clamp;
    EXPECT_EQ(build_metadata(in).out_slots, (ints{-1, -1, 20, 12, 13}));
  }
}

TEST(reference, rows_outside_the_pool_and_keys_outside_the_context) {
  // Request 0 has row 2^32 + 1 (the low half would be a row), request 1 has 5 keys of 4, request 2 both.
  auto in = with_pool(decode({2, 5, 6}), {(int64_t{1} << 32) + 1, 1, -1});
  in.table_width = NSAMETA_TABLE_EXACT;
  auto m = build_metadata(in);
  EXPECT_EQ(m.page_table_1, (rows{{-1, -1}, {20, 21, 22, 23, -1}, {-1, -1, -1, -1, -1, -1}}));
  EXPECT_EQ(m.out_slots, (ints{-1, -1, -1}));
  ASSERT_EQ(m.faults.size(), 4U);
  const auto is = [&](size_t i, nsameta_check check, int32_t request, int32_t value) {
    return m.faults[i].check == check && m.faults[i].request_idx == request && m.faults[i].value == value;
  };
  EXPECT_TRUE(is(0, NSAMETA_CHECK_POOL_ROW, 0, INT32_MAX));
  EXPECT_TRUE(is(1, NSAMETA_CHECK_KV_OVER_CONTEXT, 1, 5));
  EXPECT_TRUE(is(2, NSAMETA_CHECK_POOL_ROW, 2, -1));
  EXPECT_TRUE(is(3, NSAMETA_CHECK_KV_OVER_CONTEXT, 2, 6));
  in.has_slots = false;
  EXPECT_TRUE(build_metadata(in).faults.empty());
}

TEST(reference, requests_beyond_the_true_batch_do_not_exist) {
  auto in = with_pool(decode({3, 1, -9}), {2, 0, 77});
  in.num_requests = 2;
  auto m = build_metadata(in);
  EXPECT_EQ(m.cache_seqlens, (ints{3, 1}));
  EXPECT_EQ(m.cu_seqlens_q, (ints{0, 1, 2}));
  EXPECT_EQ(m.page_table_1.size(), 2U);
  EXPECT_EQ(m.total_tokens, 2);
  EXPECT_TRUE(m.faults.empty());
  in.num_requests = 4;
  m = build_metadata(in);
  EXPECT_EQ(m.cache_seqlens, (ints{3, 1, 0}));
  ASSERT_EQ(m.faults.size(), 3U);
  EXPECT_EQ(m.faults[0].check, NSAMETA_CHECK_NUM_REQUESTS);
  EXPECT_EQ(m.faults[0].request_idx, -1);
  EXPECT_EQ(m.faults[0].value, 4);
  EXPECT_EQ(m.faults[1].check, NSAMETA_CHECK_NEGATIVE_KV);
  in.num_requests = -1;
  in.has_num_requests = true;
  m = build_metadata(in);
  EXPECT_EQ(m.cu_seqlens_k, (ints{0}));
  ASSERT_EQ(m.faults.size(), 1U);
  EXPECT_EQ(m.faults[0].value, -1);
}

metadata_inputs schedule(std::vector<int64_t> seq_lens, nsameta_mqa_variant variant, int num_sms, int next_n = 1) {
  auto in = decode(std::move(seq_lens));
  in.num_sms = num_sms;
  in.mqa_variant = variant;
  in.mqa_next_n = next_n;
  return in;
}

ints schedule_of(const metadata_inputs& in) { return build_metadata(in).paged_mqa_schedule; }

TEST(reference, schedule_v1) {
  // Segments 3, 0, 2, 1 on 4 SMs: 6 = 4 * 1 + 2, so that they begin at 0, 2, 4, 5; the first length above 4 is the
  // third.
  EXPECT_EQ(schedule_of(schedule({600, 0, 257, 100}, NSAMETA_MQA_V1, 4)), (ints{0, 0, 0, 2, 2, 1, 3, 0, 4, 0}));
  // next_n means nothing here. Segments 3, 2 on 3 SMs: 0, 2, 4.
  EXPECT_EQ(schedule_of(schedule({600, 257}, NSAMETA_MQA_V1, 3, 4)), (ints{0, 0, 0, 2, 1, 1, 2, 0}));
  // More SMs than segments: SM 0 and 1 have one, the others begin at the end.
  EXPECT_EQ(schedule_of(schedule({1, 256}, NSAMETA_MQA_V1, 3)), (ints{0, 0, 1, 0, 2, 0, 2, 0}));
}

TEST(reference, schedule_apr26) {
  // Two atoms a length: segments end at 6, 10; SMs begin at 0, 4, 7. 4 is segment 1 of atom 1, 7 is segment 1 of
  // atom 2.
  EXPECT_EQ(schedule_of(schedule({600, 257}, NSAMETA_MQA_APR26, 3, 4)), (ints{0, 0, 1, 1, 2, 1, 4, 0}));
  // Odd next_n: three atoms, ends 9, 15; SMs begin at 0, 8: segment 2 of atom 2.
  EXPECT_EQ(schedule_of(schedule({600, 257}, NSAMETA_MQA_APR26, 2, 3)), (ints{0, 0, 2, 2, 6, 0}));
}

TEST(reference, schedule_sm90_jun26) {
  // next_n 3 is two atoms: 10 segments on 3 SMs, the last takes the one more: 0, 3, 6.
  EXPECT_EQ(schedule_of(schedule({600, 257}, NSAMETA_MQA_SM90_JUN26, 3, 3)), (ints{0, 0, 1, 0, 2, 0, 4, 0}));
  // One atom: 5 segments on 3 SMs begin at 0, 1, 3.
  EXPECT_EQ(schedule_of(schedule({600, 257}, NSAMETA_MQA_SM90_JUN26, 3, 1)), (ints{0, 0, 0, 1, 1, 0, 2, 0}));
  // next_n 2 is one atom, too.
  EXPECT_EQ(schedule_of(schedule({600, 257}, NSAMETA_MQA_SM90_JUN26, 3, 2)), (ints{0, 0, 0, 1, 1, 0, 2, 0}));
}

TEST(reference, schedule_sm100_jun26) {
  // Segments 3, 2, 2 times q 2, 0, 3: work ends at 6, 6, 12. 4 SMs begin at 0, 3, 6, 9: 3 // 2 = 1 in request 0;
  // request 2, whose first query token is 2; 3 // 3 = 1 in it. 5 query tokens in all.
  metadata_inputs in{.mode = NSAMETA_MODE_EXTEND, .seq_lens = {600, 257, 300}, .extend_seq_lens = {2, 0, 3}, .topk = 9};
  in.num_sms = 4;
  in.mqa_variant = NSAMETA_MQA_SM100_JUN26;
  EXPECT_EQ(schedule_of(in), (ints{0, 0, 0, 1, 2, 0, 2, 1, 5, 0}));
}

TEST(reference, schedule_of_tokens) {
  // visible 256, 257, 11, 12: segments 1, 2, 1, 1; 2 SMs begin at 0, 3.
  metadata_inputs in{.mode = NSAMETA_MODE_TARGET_VERIFY, .seq_lens = {255, 10}, .tokens_per_request = 2, .topk = 9};
  in.num_sms = 2;
  in.mqa_by_token = true;
  EXPECT_EQ(schedule_of(in), (ints{0, 0, 2, 0, 4, 0}));
  in.mqa_variant = NSAMETA_MQA_SM100_JUN26;
  EXPECT_EQ(schedule_of(in), (ints{0, 0, 2, 0, 4, 0}));
  // Unclamped visible lengths -1, 0, 1 count as 0, 0, 1.
  in = {.mode = NSAMETA_MODE_EXTEND, .seq_lens = {1}, .extend_seq_lens = {3}, .topk = 9};
  in.num_sms = 1;
  in.mqa_by_token = true;
  EXPECT_EQ(schedule_of(in), (ints{2, 0, 3, 0}));
  // visible -598 to 1: 599 tokens without a segment, one with one.
  in.extend_seq_lens = {600};
  EXPECT_EQ(schedule_of(in), (ints{599, 0, 600, 0}));
}

TEST(reference, schedule_of_nothing) {
  EXPECT_EQ(schedule_of(schedule({}, NSAMETA_MQA_V1, 2)), (ints{0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(schedule_of(schedule({0, 0, 0}, NSAMETA_MQA_APR26, 1, 6)), (ints{9, 0, 9, 0}));
  EXPECT_EQ(schedule_of(schedule({0, 0, 0}, NSAMETA_MQA_SM100_JUN26, 1)), (ints{3, 0, 3, 0}));
}

metadata_inputs plan(std::vector<int64_t> seq_lens, nsameta_topk_plan_arch arch, int clusters = 1) {
  auto in = decode(std::move(seq_lens));
  in.plan_rows = 600;
  in.topk_plan_arch = arch;
  in.topk_plan_clusters = clusters;
  return in;
}

ints plan_of(const metadata_inputs& in) { return build_metadata(in).topk_plan; }

TEST(reference, topk_plan_threshold) {
  // Few lengths: the smallest candidate, 65,536 or 32,768. A length equal to it is not above it.
  const std::vector<int64_t> few{5, 70'000, 3, 65'536, 65'537};
  EXPECT_EQ(plan_of(plan(few, NSAMETA_TOPK_PLAN_HOPPER)), (ints{65'536, 2, 1, 70'000, 4, 65'537}));
  EXPECT_EQ(plan_of(plan(few, NSAMETA_TOPK_PLAN_BLACKWELL)), (ints{32'768, 3, 1, 70'000, 3, 65'536, 4, 65'537}));
  // 31 lengths above 65,536, where 30 are allowed: the candidate before it stands.
  EXPECT_EQ(plan_of(plan(std::vector<int64_t>(31, 70'000), NSAMETA_TOPK_PLAN_HOPPER)), (ints{98'304, 0}));
  EXPECT_EQ(plan_of(plan(std::vector<int64_t>(30, 70'000), NSAMETA_TOPK_PLAN_HOPPER)).at(0), 65'536);
  // Over the cap of the largest candidate: it stands all the same.
  const auto long_plan = plan_of(plan(std::vector<int64_t>(129, 400'000), NSAMETA_TOPK_PLAN_HOPPER));
  EXPECT_EQ(long_plan.at(0), 393'216);
  EXPECT_EQ(long_plan.at(1), 129);
  EXPECT_EQ(long_plan.size(), 260U);
}

TEST(reference, topk_plan_stays_as_it_is) {
  EXPECT_TRUE(plan_of(plan({70'000, 5}, NSAMETA_TOPK_PLAN_HOPPER, 2)).empty());
  EXPECT_EQ(plan_of(plan({70'000, 5}, NSAMETA_TOPK_PLAN_HOPPER, 1)).size(), 4U);
  EXPECT_TRUE(plan_of(plan(std::vector<int64_t>(513, 9), NSAMETA_TOPK_PLAN_HOPPER)).empty());
  EXPECT_EQ(plan_of(plan(std::vector<int64_t>(512, 9), NSAMETA_TOPK_PLAN_HOPPER)), (ints{65'536, 0}));
  auto in = plan({7, 3, 9}, NSAMETA_TOPK_PLAN_HOPPER);
  in.topk_plan_threshold = 3;
  EXPECT_EQ(plan_of(in), (ints{3, 2, 0, 7, 2, 9}));
}

TEST(reference, result_of_slots_is_used_again) {
  metadata m;
  auto in = with_pool(decode({3, 1}), {2, 0});
  in.num_sms = 3;
  build_metadata(in, &m);
  const int32_t* memory = m.page_table_1.at(0).data();
  in.seq_lens = {2};
  in.req_pool_indices = {1};
  in.num_sms = 0;
  in.table_width = NSAMETA_TABLE_EXACT;
  build_metadata(in, &m);
  EXPECT_EQ(m.page_table_1, (rows{{20, 21}, {}}));
  EXPECT_EQ(m.page_table_1[0].data(), memory);
  EXPECT_EQ(m.page_table_1_flattened, (ints{20, 21}));
  EXPECT_EQ(m.out_slots, (ints{21}));
  EXPECT_TRUE(m.paged_mqa_schedule.empty());
}

}  // namespace
}  // namespace nsameta::reference
