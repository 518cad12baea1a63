// The oracle of build_metadata: every value by the definition, one token at a time. It shares no formula with the
// library, so that both cannot be wrong in the same way.
#pragma once

#include <cstdint>
#include <vector>

#include "nsameta/nsameta.h"

namespace nsameta::reference {

struct metadata_inputs {
  int mode = NSAMETA_MODE_DECODE;
  std::vector<int64_t> seq_lens{};         // [B]
  std::vector<int64_t> extend_seq_lens{};  // [B], or [>= 1] with static_width; unused where q is a constant
  int tokens_per_request = 0;              // 0: q comes from extend_seq_lens (1 in mode decode)
  bool static_width = false;
  int topk = 1;
  int kpool = 1;
  bool clamp = false;  // as it is after defaults: draft_extend usually clamps
  int ctx_lens_columns = 0;
  int64_t max_tokens = INT64_MAX;  // per-token arrays end here; sums over requests do not
};

// Input data that the library reports: a negative length, which counts as 0.
struct metadata_fault {
  nsameta_check check = NSAMETA_CHECK_NONE;
  int32_t request_idx = -1;
  int32_t value = 0;
};

// Exactly the elements that are written, without capacity and tail.
struct metadata {
  std::vector<int32_t> seqlens_expanded;
  std::vector<int32_t> nsa_cache_seqlens;
  std::vector<int32_t> nsa_cu_seqlens_k;
  std::vector<int32_t> cache_seqlens;
  std::vector<int32_t> cu_seqlens_k;
  std::vector<int32_t> cu_seqlens_q;
  std::vector<int32_t> token_to_batch_idx;
  std::vector<int32_t> positions;
  std::vector<int32_t> topk_indices_offset;
  std::vector<int32_t> indexer_ks;
  std::vector<int32_t> indexer_ke;
  std::vector<int32_t> paged_mqa_ctx_lens_2d;  // row-major, B x ctx_lens_columns
  int64_t total_tokens = 0;
  std::vector<metadata_fault> faults;  // all of them, in the order of requests
};

metadata build_metadata(const metadata_inputs& inputs);

// The same into `result`, whose memory is used again.
void build_metadata(const metadata_inputs& inputs, metadata* result);

// How many of `visible` keys the sparse kernel reads.
int64_t dsa(int64_t visible, int64_t topk, int64_t kpool);

}  // namespace nsameta::reference
