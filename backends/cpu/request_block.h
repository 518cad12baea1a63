// Requests as the writers want them: some hundred at a time, lengths as plain int32 arrays, faults taken out.
#pragma once

#include <cstdint>

#include "core/backend.h"
#include "core/formula.h"

namespace nsameta::cpu {

// Sums over the requests before a point. The token count is exact; the others wrap like int32.
struct running_sums {
  int64_t tokens = 0;
  uint32_t keys = 0;
  uint32_t kept = 0;  // dsa(visible) of all tokens
};

// The part of a descriptor that says what the requests are.
struct request_source {
  explicit request_source(const nsameta_build_metadata_desc& desc);

  nsameta_lengths seq_lens;
  nsameta_lengths extend_seq_lens;
  int32_t kv_offset;
  bool is_ragged;
  int32_t width;  // q of every request as it was given, unless ragged
  bool clamp;
  bool needs_keys;  // some output needs running_sums::keys, or kept
  bool needs_kept;
  formula::sparsity sparsity;

  uint32_t kept_of(int32_t kv, int32_t q) const {
    return static_cast<uint32_t>(formula::dsa_sum_at(kv, clamp, sparsity)) -
           static_cast<uint32_t>(formula::dsa_sum_at(kv - q, clamp, sparsity));
  }
};

struct request_block {
  static constexpr int kCapacity = 256;

  // Reads requests [first, first + num) and what is needed of their sums. Returns the first fault, 0 if none.
  uint64_t load(const request_source& source, int64_t first, int num, const running_sums& before);
  // The sums behind the block's last request.
  running_sums sums_after(const request_source& source) const;
  // Forgets the first `num_tokens` tokens of the first request.
  void drop_front(const request_source& source, int32_t num_tokens);

  int64_t first_request;
  int64_t first_token;
  int64_t num_tokens;
  int size;
  alignas(64) int32_t kv[kCapacity];
  int32_t q[kCapacity];
  int32_t first_visible[kCapacity];  // of the first token, before the clamp
  uint32_t key_start[kCapacity];     // running_sums::keys before the request
  uint32_t kept_start[kCapacity];
};

uint64_t encode_fault(nsameta_check check, int64_t request_idx, int32_t value);

}  // namespace nsameta::cpu
