#include "cli/baseline.h"

#include <gtest/gtest.h>

#include "reference/build_metadata.h"

namespace nsameta::cli {
namespace {

// The original's way must do the original's work, or its time says nothing.
TEST(baseline, agrees_with_the_oracle) {
  const session where(kCpuDevice, "cpu");
  baseline original(where, 64, 6);
  const int32_t seq_lens[] = {5, 40, 1};
  const int32_t ragged[] = {2, 7, 1};
  const batch batches[] = {{NSAMETA_MODE_DECODE, seq_lens, {}, 1, 3, 40},
                           {NSAMETA_MODE_TARGET_VERIFY, seq_lens, {}, 4, 12, 44},
                           {NSAMETA_MODE_DRAFT_EXTEND, seq_lens, ragged, 0, 10, 40},
                           {NSAMETA_MODE_EXTEND, seq_lens, ragged, 0, 10, 40}};
  for (const auto& lengths : batches) {
    builder b(where, {lengths.mode, 4, 64, lengths.tokens_per_request, 6, false});
    b.load(lengths);
    original.run(b, lengths);
    reference::metadata_inputs inputs;
    inputs.mode = lengths.mode;
    inputs.seq_lens.assign(lengths.seq_lens.begin(), lengths.seq_lens.end());
    inputs.extend_seq_lens.assign(lengths.extend_seq_lens.begin(), lengths.extend_seq_lens.end());
    inputs.tokens_per_request = lengths.tokens_per_request;
    inputs.topk = 6;
    const auto expected = reference::build_metadata(inputs);
    EXPECT_EQ(original.seqlens_expanded(), expected.seqlens_expanded);
    EXPECT_EQ(original.nsa_cache_seqlens(), expected.nsa_cache_seqlens);
  }
}

}  // namespace
}  // namespace nsameta::cli
