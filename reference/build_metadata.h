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
  int64_t num_requests = -1;       // the true batch as it lies on the device; -1: none is given
  bool has_num_requests = false;   // one is given even if it is -1

  std::vector<int64_t> req_pool_indices{};  // [B]
  const int32_t* req_to_token = nullptr;    // [pool_rows, max_context], row-major
  int64_t pool_rows = 0;
  int64_t max_context = 0;
  int page_size = 1;
  int table_width = NSAMETA_TABLE_LIVE_128;
  int64_t table_columns = 0;  // W of page_table_1; 0: not built
  int64_t page_columns = 0;   // pages of real_page_table that may be written; 0: not built
  bool has_slots = false;     // an output reads req_to_token, so that its faults are reported
  bool has_out_slots = false;
  int64_t max_keys = 0;  // page_table_1_flattened ends here; 0: not built

  int num_sms = 0;  // 0: no schedule
  int mqa_variant = NSAMETA_MQA_V1;
  bool mqa_by_token = false;  // the lengths are visible, else kv
  int mqa_next_n = 1;

  int64_t plan_rows = 0;  // capacity of topk_plan; 0: not built
  int topk_plan_arch = NSAMETA_TOPK_PLAN_HOPPER;
  int topk_plan_clusters = 30;
  int topk_plan_threshold = -1;
};

// Input data that the library reports; see nsameta_check.
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
  std::vector<int32_t> out_slots;
  // [>= B], those from B on empty: the cells from column 0 on that each table row of the request holds. Row r belongs
  // to request r, or with a row per token to request token_to_batch_idx[r].
  std::vector<std::vector<int32_t>> page_table_1;
  std::vector<std::vector<int32_t>> real_page_table;
  std::vector<int32_t> page_table_1_flattened;
  std::vector<int32_t> paged_mqa_schedule;  // row-major, [num_sms + 1, 2]
  std::vector<int32_t> topk_plan;           // row-major, [1 + count, 2]; empty when the buffer stays as it is
  int64_t total_keys = 0;                   // sum of kv
  std::vector<metadata_fault> faults;       // but for capacities all of them: of num_requests, then of each request
};

metadata build_metadata(const metadata_inputs& inputs);

// The same into `result`, whose memory is used again.
void build_metadata(const metadata_inputs& inputs, metadata* result);

// How many of `visible` keys the sparse kernel reads.
int64_t dsa(int64_t visible, int64_t topk, int64_t kpool);

}  // namespace nsameta::reference
