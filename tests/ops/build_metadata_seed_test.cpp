// The cases of the three functions that engines call today, through the presets and through build_metadata.
#include <string>

#include "tests/support/execution_test.h"

namespace nsameta::test {
namespace {

class build_metadata_seed : public execution_test {
 protected:
  // Both ways of asking for the same: the preset that fits the wanted outputs, and build_metadata.
  void check_all(metadata_case c);
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_seed);

void build_metadata_seed::check_all(metadata_case c) {
  c.clamp = NSAMETA_CLAMP_OFF;
  c.want({output_id::seqlens_expanded, output_id::nsa_cache_seqlens});
  const auto topk = c.inputs.topk;
  check(c);
  {
    SCOPED_TRACE("fused_simple");
    check_launch(c, [&](const bound_case& b) {
      return nsameta_fill_draft_extend_metadata_fused_simple(context(), &b.args().extend_seq_lens, &b.args().seq_lens,
                                                             topk, &b.args().out.seqlens_expanded,
                                                             &b.args().out.nsa_cache_seqlens, stream());
    });
  }
  metadata_case roomy = c;
  roomy.with_slack(37).want({output_id::total_tokens});
  {
    SCOPED_TRACE("inplace");
    check_launch(roomy, [&](const bound_case& b) {
      return nsameta_fill_draft_extend_metadata_inplace(context(), &b.args().extend_seq_lens, &b.args().seq_lens, topk,
                                                        &b.args().out.seqlens_expanded, &b.args().out.nsa_cache_seqlens,
                                                        &b.args().out.total_tokens, stream());
    });
  }
  roomy.at(output_id::total_tokens).is_wanted = false;
  {
    SCOPED_TRACE("inplace without total_tokens");
    check_launch(roomy, [&](const bound_case& b) {
      return nsameta_fill_draft_extend_metadata_inplace(context(), &b.args().extend_seq_lens, &b.args().seq_lens, topk,
                                                        &b.args().out.seqlens_expanded, &b.args().out.nsa_cache_seqlens,
                                                        nullptr, stream());
    });
  }
  c.want({output_id::cache_seqlens, output_id::cu_seqlens_k});
  SCOPED_TRACE("fused");
  check_launch(c, [&](const bound_case& b) {
    return nsameta_fill_draft_extend_metadata_fused(context(), &b.args().extend_seq_lens, &b.args().seq_lens, topk,
                                                    &b.args().out.seqlens_expanded, &b.args().out.nsa_cache_seqlens,
                                                    &b.args().out.cache_seqlens, &b.args().out.cu_seqlens_k, stream());
  });
}

TEST_P(build_metadata_seed, batches_and_topks) {
  random_source random(1);
  for (const int64_t batch : {1, 2, 4, 8, 16, 32}) {
    for (const int topk : {128, 256, 512}) {
      auto c = random_ragged_case(random, NSAMETA_MODE_DRAFT_EXTEND, batch, 8);
      c.inputs.topk = topk;
      check_all(c);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(build_metadata_seed, single_token) {
  auto c = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, {100}, {1});
  c.inputs.topk = 256;
  check_all(c);
  c.inputs.seq_lens = {1};
  check_all(c);
}

TEST_P(build_metadata_seed, long_extend_beside_single_tokens) {
  auto c = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, {1, 20000, 500, 3, 8192}, {1, 8192, 1, 1, 8192});
  c.inputs.topk = 512;
  check_all(c);
}

TEST_P(build_metadata_seed, lengths_around_topk) {
  for (const int topk : {128, 256, 512}) {
    auto c = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, {topk - 1, topk, topk + 1, topk + 4, int64_t{2} * topk},
                         {4, 4, 4, 4, 4});
    c.inputs.topk = topk;
    check_all(c);
  }
}

TEST_P(build_metadata_seed, padded_rows_with_and_without_clamp) {
  auto c = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, {0, 2, 300, 0, 5}, {4, 4, 4, 1, 8});
  c.inputs.topk = 128;
  check_all(c);
  c.want_all();
  for (const auto clamp : {NSAMETA_CLAMP_DEFAULT, NSAMETA_CLAMP_OFF, NSAMETA_CLAMP_ON}) {
    c.clamp = clamp;
    check(c);
  }
}

TEST_P(build_metadata_seed, empty_batch) {
  auto c = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, {}, {});
  check_all(c);
}

TEST_P(build_metadata_seed, wide_and_strided_inputs) {
  random_source random(2);
  for (const auto dtype : {NSAMETA_INT32, NSAMETA_INT64}) {
    for (const int64_t stride : {1, 2, -1}) {
      auto c = random_ragged_case(random, NSAMETA_MODE_DRAFT_EXTEND, 33, 8);
      c.seq_lens = {dtype, stride, 1};
      c.extend_seq_lens = {dtype, stride, 3};
      check_all(c);
    }
  }
}

TEST_P(build_metadata_seed, presets_refuse_bad_arguments) {
  expect_no_launch();
  bound_case bound(context(), stream(),
                   ragged_case(NSAMETA_MODE_DRAFT_EXTEND, {10, 20}, {2, 3})
                       .want({output_id::seqlens_expanded, output_id::nsa_cache_seqlens}));
  ASSERT_NO_FATAL_FAILURE(bound.reset(bound.description().inputs));
  const auto& a = bound.args();
  const auto call = [&](const nsameta_tensor* extend, const nsameta_tensor* seq, int32_t topk) {
    return nsameta_fill_draft_extend_metadata_fused_simple(context(), extend, seq, topk, &a.out.seqlens_expanded,
                                                           &a.out.nsa_cache_seqlens, stream());
  };
  const auto refused = [&](nsameta_status status, const char* part) {
    EXPECT_EQ(status, NSAMETA_INVALID_ARGUMENT);
    EXPECT_NE(std::string(nsameta_last_error_message()).find(part), std::string::npos) << nsameta_last_error_message();
  };
  refused(call(nullptr, &a.seq_lens, 128), "extend_seq_lens");
  refused(call(&a.extend_seq_lens, nullptr, 128), "seq_lens");
  refused(call(&a.extend_seq_lens, &a.seq_lens, 0), "topk=0");
  refused(call(&a.extend_seq_lens, &a.seq_lens, -4), "topk=-4");
  auto narrow = a.seq_lens;
  narrow.shape[0] = 1;
  refused(call(&a.extend_seq_lens, &narrow, 128), "batch=2 exceeds shape[0]=1 of seq_lens");
  EXPECT_TRUE(bound.is_untouched());
}

}  // namespace
}  // namespace nsameta::test
