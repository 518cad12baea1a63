// Requests as the writers want them: some hundred at a time, lengths as plain int32 arrays, faults taken out.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/cpu/loops/loops.h"
#include "core/backend.h"
#include "core/formula.h"

namespace nsameta::cpu {

// Sums over the requests before a point. All are exact but `kept`, which wraps like int32.
struct running_sums {
  int64_t tokens = 0;
  int64_t keys = 0;
  int64_t mqa_work = 0;  // segments of the paged-MQA schedule, before they are multiplied by atoms
  uint32_t kept = 0;     // dsa(visible) of all tokens
};

// The part of a descriptor that says what the requests are, and which of their sums the outputs of all sets need.
struct request_source {
  request_source(const nsameta_build_metadata_desc& desc, const cpu::loops& loops);

  const nsameta_build_metadata_desc& desc;
  const cpu::loops& loops;
  int64_t batch;  // the true one
  bool is_ragged;
  bool clamp;
  int32_t width;  // q of every request as it was given, unless ragged
  bool needs_keys = false;
  bool needs_kept = false;
  bool needs_slots = false;  // some output reads req_to_token
  bool has_request_outputs = false;
  bool has_tables = false;  // page tables, flattened ones too
  bool has_schedule = false;
  bool has_plan = false;
  formula::sparsity sparsity;

  [[gnu::always_inline]] uint32_t kept_of(int32_t kv, int32_t q) const {
    return static_cast<uint32_t>(formula::dsa_sum_at(kv, clamp, sparsity)) -
           static_cast<uint32_t>(formula::dsa_sum_at(kv - q, clamp, sparsity));
  }
  [[gnu::always_inline]] int64_t mqa_work_of(int32_t kv, int32_t q) const {
    if (desc.mqa_by_token != 0) return formula::segment_sum(kv) - formula::segment_sum(kv - q);
    return formula::segments(kv) * (desc.mqa_variant == NSAMETA_MQA_SM100_JUN26 ? q : 1);
  }
};

struct request_block {
  static constexpr int kCapacity = 256;

  // Reads requests [first, first + num) and what is needed of their sums. Returns the first fault, 0 if none.
  uint64_t load(const request_source& source, int64_t first, int num, const running_sums& before) {
    return source.loops.load_block(source, first, num, before, this);
  }
  // Forgets the first `num_tokens` tokens of the first request.
  void drop_front(const request_source& source, int32_t num_tokens);

  int64_t first_request;
  int64_t first_token;
  int64_t first_key;  // running_sums::keys before the block
  int64_t num_tokens;
  int size;
  running_sums after;  // behind the block's last request
  alignas(64) int32_t kv[kCapacity];
  int32_t q[kCapacity];
  int32_t first_visible[kCapacity];  // of the first token, before the clamp
  uint32_t key_start[kCapacity];     // running_sums::keys before the request, wrapped
  uint32_t kept_start[kCapacity];
  int64_t pool_row[kCapacity];  // row of req_to_token, -1 where it has none
};

// Calls visit(block, fault) for requests [begin, end), a block at a time, and returns the sums behind them.
template <typename Visit>
running_sums for_each_block(const request_source& source, int64_t begin, int64_t end, running_sums sums, Visit visit) {
  request_block block;
  for (int64_t request = begin; request < end; request += block.size) {
    const int num = static_cast<int>(std::min<int64_t>(request_block::kCapacity, end - request));
    const uint64_t fault = block.load(source, request, num, sums);
    sums = block.after;
    visit(block, fault);
  }
  return sums;
}

}  // namespace nsameta::cpu
