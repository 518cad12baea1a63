// What per-request outputs hold beyond the true batch of a launch that reads it from num_requests.
#pragma once

#include <cstdint>

#include "backends/simt/requests.h"
#include "backends/simt/scan.h"

namespace nsameta::simt {

// all: the sums over the batch. Some threads share the work; each takes every step-th request from batch + first on.
NSAMETA_DEVICE void store_request_tail(const build_metadata_params& p, const prefix& all, std::int32_t first,
                                       std::int32_t step) {
  if (p.tail == NSAMETA_TAIL_KEEP) return;
  const bool is_last = p.tail == NSAMETA_TAIL_LAST;
  const std::int32_t fill = p.tail == NSAMETA_TAIL_MINUS_ONE ? -1 : 0;
  const std::int32_t last_kv = is_last && p.batch > 0 ? not_negative(load_kv(p, p.batch - 1)) : fill;
  NSAMETA_NO_UNROLL
  for (std::int32_t r = p.batch + first; r < p.max_batch; r += step) {
    if (p.cache_seqlens != nullptr) p.cache_seqlens[r] = last_kv;
    if (p.cu_seqlens_k != nullptr) p.cu_seqlens_k[r + 1] = is_last ? all.keys : fill;
    if (p.cu_seqlens_q != nullptr) p.cu_seqlens_q[r + 1] = is_last ? all.tokens_wrapped : fill;
    NSAMETA_NO_UNROLL
    for (std::int32_t column = 0; p.ctx_lens != nullptr && column < p.ctx_lens_columns; ++column) {
      p.ctx_lens[r * p.ctx_lens_row_stride + column] = last_kv;
    }
  }
}

}  // namespace nsameta::simt
