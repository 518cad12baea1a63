// The oracle against examples worked by hand from the definitions. Nothing here calls the library.
#include "reference/build_metadata.h"

#include <gtest/gtest.h>

namespace nsameta::reference {
namespace {

using ints = std::vector<int32_t>;

TEST(reference, decode_of_three_requests) {
  const auto m = build_metadata({.mode = NSAMETA_MODE_DECODE, .seq_lens = {5, 9, 1}, .topk = 4, .ctx_lens_columns = 1});
  EXPECT_EQ(m.seqlens_expanded, (ints{5, 9, 1}));
  EXPECT_EQ(m.nsa_cache_seqlens, (ints{4, 4, 1}));
  EXPECT_EQ(m.nsa_cu_seqlens_k, (ints{0, 4, 8, 9}));
  EXPECT_EQ(m.cache_seqlens, (ints{5, 9, 1}));
  EXPECT_EQ(m.cu_seqlens_k, (ints{0, 5, 14, 15}));
  EXPECT_EQ(m.cu_seqlens_q, (ints{0, 1, 2, 3}));
  EXPECT_EQ(m.token_to_batch_idx, (ints{0, 1, 2}));
  EXPECT_EQ(m.positions, (ints{4, 8, 0}));
  EXPECT_EQ(m.topk_indices_offset, (ints{0, 5, 14}));
  EXPECT_EQ(m.indexer_ks, (ints{0, 5, 14}));
  EXPECT_EQ(m.indexer_ke, (ints{5, 14, 15}));
  EXPECT_EQ(m.paged_mqa_ctx_lens_2d, (ints{5, 9, 1}));
  EXPECT_EQ(m.total_tokens, 3);
  EXPECT_TRUE(m.faults.empty());
}

TEST(reference, target_verify_of_two_draft_tokens) {
  // kv = seq + 2 = {12, 5}; token j sees seq + 1 + j keys.
  const auto m = build_metadata({.mode = NSAMETA_MODE_TARGET_VERIFY,
                                 .seq_lens = {10, 3},
                                 .tokens_per_request = 2,
                                 .topk = 11,
                                 .ctx_lens_columns = 2});
  EXPECT_EQ(m.seqlens_expanded, (ints{11, 12, 4, 5}));
  EXPECT_EQ(m.nsa_cache_seqlens, (ints{11, 11, 4, 5}));
  EXPECT_EQ(m.nsa_cu_seqlens_k, (ints{0, 11, 22, 26, 31}));
  EXPECT_EQ(m.cache_seqlens, (ints{12, 5}));
  EXPECT_EQ(m.cu_seqlens_k, (ints{0, 12, 17}));
  EXPECT_EQ(m.cu_seqlens_q, (ints{0, 2, 4}));
  EXPECT_EQ(m.token_to_batch_idx, (ints{0, 0, 1, 1}));
  EXPECT_EQ(m.positions, (ints{10, 11, 3, 4}));
  EXPECT_EQ(m.topk_indices_offset, (ints{0, 0, 12, 12}));
  EXPECT_EQ(m.indexer_ke, (ints{11, 12, 16, 17}));
  EXPECT_EQ(m.paged_mqa_ctx_lens_2d, (ints{12, 12, 5, 5}));
}

TEST(reference, draft_extend_with_a_padded_row) {
  // Request 1 has kv = 1 < q = 3: visible = -1, 0, 1.
  metadata_inputs in{.mode = NSAMETA_MODE_DRAFT_EXTEND, .seq_lens = {7, 1}, .extend_seq_lens = {2, 3}, .topk = 6};
  auto m = build_metadata(in);
  EXPECT_EQ(m.seqlens_expanded, (ints{6, 7, -1, 0, 1}));
  EXPECT_EQ(m.nsa_cache_seqlens, (ints{6, 6, -1, 0, 1}));
  EXPECT_EQ(m.nsa_cu_seqlens_k, (ints{0, 6, 12, 11, 11, 12}));
  EXPECT_EQ(m.positions, (ints{5, 6, -2, -1, 0}));
  EXPECT_EQ(m.indexer_ke, (ints{6, 7, 6, 7, 8}));
  in.clamp = true;
  m = build_metadata(in);
  EXPECT_EQ(m.seqlens_expanded, (ints{6, 7, 0, 0, 1}));
  EXPECT_EQ(m.nsa_cache_seqlens, (ints{6, 6, 0, 0, 1}));
  EXPECT_EQ(m.nsa_cu_seqlens_k, (ints{0, 6, 12, 12, 12, 13}));
  EXPECT_EQ(m.positions, (ints{5, 6, -1, -1, 0}));
  EXPECT_EQ(m.indexer_ke, (ints{6, 7, 7, 7, 8}));
  EXPECT_EQ(m.cu_seqlens_k, (ints{0, 7, 8}));
  EXPECT_EQ(m.cu_seqlens_q, (ints{0, 2, 5}));
}

TEST(reference, static_width_is_the_first_length) {
  const auto m = build_metadata({.mode = NSAMETA_MODE_DRAFT_EXTEND,
                                 .seq_lens = {5, 6},
                                 .extend_seq_lens = {2},
                                 .static_width = true,
                                 .topk = 100});
  EXPECT_EQ(m.seqlens_expanded, (ints{4, 5, 5, 6}));
  EXPECT_EQ(m.total_tokens, 4);
}

TEST(reference, chunked_prefill_beside_a_decoding_request) {
  // A chunk of 4 tokens behind a cached prefix of 6, and one decoding request.
  const auto m = build_metadata(
      {.mode = NSAMETA_MODE_EXTEND, .seq_lens = {10, 3}, .extend_seq_lens = {4, 1}, .topk = 8, .ctx_lens_columns = 3});
  EXPECT_EQ(m.seqlens_expanded, (ints{7, 8, 9, 10, 3}));
  EXPECT_EQ(m.nsa_cache_seqlens, (ints{7, 8, 8, 8, 3}));
  EXPECT_EQ(m.nsa_cu_seqlens_k, (ints{0, 7, 15, 23, 31, 34}));
  EXPECT_EQ(m.token_to_batch_idx, (ints{0, 0, 0, 0, 1}));
  EXPECT_EQ(m.indexer_ks, (ints{0, 0, 0, 0, 10}));
  EXPECT_EQ(m.paged_mqa_ctx_lens_2d, (ints{10, 10, 10, 3, 3, 3}));
}

TEST(reference, pooled_indexer) {
  // kpool 4, topk 8: whole pools f = x // 4 * 4 are cut to 8, the rest of x stays.
  EXPECT_EQ(dsa(7, 8, 4), 7);    // f = 4
  EXPECT_EQ(dsa(11, 8, 4), 11);  // f = 8, 3 more
  EXPECT_EQ(dsa(12, 8, 4), 8);   // f = 12 cut to 8
  EXPECT_EQ(dsa(15, 8, 4), 11);
  EXPECT_EQ(dsa(16, 8, 4), 8);
  EXPECT_EQ(dsa(9, 6, 4), 7);    // topk inside a pool: f = 8 cut to 6, 1 more
  EXPECT_EQ(dsa(-3, 8, 4), -3);  // f = -4
  EXPECT_EQ(dsa(-4, 8, 4), -4);
  EXPECT_EQ(dsa(100, 8, 1), 8);
  const auto m =
      build_metadata({.mode = NSAMETA_MODE_EXTEND, .seq_lens = {13}, .extend_seq_lens = {3}, .topk = 8, .kpool = 4});
  EXPECT_EQ(m.nsa_cache_seqlens, (ints{11, 8, 9}));
  EXPECT_EQ(m.nsa_cu_seqlens_k, (ints{0, 11, 19, 28}));
}

TEST(reference, empty_batch_and_no_tokens) {
  const auto none = build_metadata({.mode = NSAMETA_MODE_DECODE, .seq_lens = {}, .topk = 8});
  EXPECT_EQ(none.nsa_cu_seqlens_k, (ints{0}));
  EXPECT_EQ(none.cu_seqlens_k, (ints{0}));
  EXPECT_EQ(none.cu_seqlens_q, (ints{0}));
  EXPECT_TRUE(none.cache_seqlens.empty() && none.seqlens_expanded.empty());
  EXPECT_EQ(none.total_tokens, 0);
  const auto idle =
      build_metadata({.mode = NSAMETA_MODE_EXTEND, .seq_lens = {4, 5}, .extend_seq_lens = {0, 0}, .topk = 8});
  EXPECT_EQ(idle.nsa_cu_seqlens_k, (ints{0}));
  EXPECT_EQ(idle.cu_seqlens_k, (ints{0, 4, 9}));
  EXPECT_EQ(idle.cu_seqlens_q, (ints{0, 0, 0}));
  EXPECT_EQ(idle.total_tokens, 0);
}

TEST(reference, sums_wrap_and_int64_is_cut) {
  // 2^31 - 1 twice is -2 as int32; 2^32 + 7 is cut to 7.
  const auto m = build_metadata(
      {.mode = NSAMETA_MODE_DECODE, .seq_lens = {INT32_MAX, INT32_MAX, (int64_t{1} << 32) + 7}, .topk = INT32_MAX});
  EXPECT_EQ(m.cu_seqlens_k, (ints{0, INT32_MAX, -2, 5}));
  EXPECT_EQ(m.nsa_cu_seqlens_k, (ints{0, INT32_MAX, -2, 5}));
  EXPECT_EQ(m.indexer_ke, (ints{INT32_MAX, -2, 5}));
  EXPECT_TRUE(m.faults.empty());
}

TEST(reference, negative_lengths_count_as_zero) {
  const auto m =
      build_metadata({.mode = NSAMETA_MODE_EXTEND, .seq_lens = {-5, 6, 4}, .extend_seq_lens = {1, -2, 2}, .topk = 8});
  EXPECT_EQ(m.seqlens_expanded, (ints{0, 3, 4}));
  EXPECT_EQ(m.cache_seqlens, (ints{0, 6, 4}));
  EXPECT_EQ(m.cu_seqlens_q, (ints{0, 1, 1, 3}));
  ASSERT_EQ(m.faults.size(), 2U);
  EXPECT_EQ(m.faults[0].check, NSAMETA_CHECK_NEGATIVE_KV);
  EXPECT_EQ(m.faults[0].request_idx, 0);
  EXPECT_EQ(m.faults[0].value, -5);
  EXPECT_EQ(m.faults[1].check, NSAMETA_CHECK_NEGATIVE_QUERY);
  EXPECT_EQ(m.faults[1].request_idx, 1);
  EXPECT_EQ(m.faults[1].value, -2);
  // seq + n leaves int32: 2^31 - 1 + 2 wraps to -2^31 + 1.
  const auto wrapped =
      build_metadata({.mode = NSAMETA_MODE_TARGET_VERIFY, .seq_lens = {INT32_MAX}, .tokens_per_request = 2, .topk = 8});
  EXPECT_EQ(wrapped.cache_seqlens, (ints{0}));
  EXPECT_EQ(wrapped.faults.at(0).value, INT32_MIN + 1);
}

TEST(reference, result_is_used_again) {
  metadata m;
  build_metadata({.mode = NSAMETA_MODE_DECODE, .seq_lens = {-1, 2, 3}, .topk = 2}, &m);
  build_metadata({.mode = NSAMETA_MODE_DECODE, .seq_lens = {4}, .topk = 2}, &m);
  EXPECT_EQ(m.nsa_cu_seqlens_k, (ints{0, 2}));
  EXPECT_EQ(m.total_tokens, 1);
  EXPECT_TRUE(m.faults.empty());
}

}  // namespace
}  // namespace nsameta::reference
