#include "backends/cpu/block_writer.h"

#include <algorithm>

#include "backends/cpu/token_fill.h"

namespace nsameta::cpu {

// Element of token t is t + num_leading. Out of line, so that an absent output costs one comparison.
template <typename Element, typename Run, typename Base>
[[gnu::noinline]] void block_writer::fill_tokens(const request_block& block, int64_t end_token,
                                                 const nsameta_output& output, int num_leading, const Run& run,
                                                 Base base) const {
  const int64_t end = std::min({end_token, block.first_token + block.num_tokens, output.capacity - num_leading});
  const int64_t num = end - block.first_token;
  if (num <= 0) return;
  auto* to = static_cast<Element*>(output.data) + block.first_token + num_leading;
  if (!source_.is_ragged && source_.width == 1) {
    fill_single(run, block, base, to, num);
  } else if (is_streamed_) {
    fill_streamed(run, block, base, to, num);
  } else {
    fill_cached(run, block, base, to, num);
  }
}

template <typename Element, typename Run, typename Base>
inline void block_writer::write_tokens(const request_block& block, int64_t end_token, const nsameta_output& output,
                                       int num_leading, const Run& run, Base base) const {
  if (output.data != nullptr) fill_tokens<Element>(block, end_token, output, num_leading, run, base);
}

template <typename Kept>
void block_writer::write_kept(const request_block& block, int64_t end_token, const Kept& kept) const {
  write_tokens(block, end_token, desc_.nsa_cache_seqlens, 0, kept, [](int) { return 0U; });
  write_tokens(block, end_token, desc_.nsa_cu_seqlens_k, 1, kept_sum_run(kept),
               [&](int i) { return block.kept_start[i]; });
}

template <bool kClamped>
void block_writer::write_ramps(const request_block& block, int64_t end_token) const {
  const auto none = [](int) { return 0U; };
  const auto key_start = [&](int i) { return block.key_start[i]; };
  using plain = ramp_run<false, kClamped, false>;
  using shifted = ramp_run<false, kClamped, true>;
  write_tokens(block, end_token, desc_.seqlens_expanded, 0, plain(), none);
  if (source_.sparsity.kpool > 1) {
    write_kept(block, end_token, pooled_kept_run<kClamped>(source_.sparsity));
  } else {
    write_kept(block, end_token, ramp_run<true, kClamped, false>(source_.sparsity.topk));
  }
  if (desc_.positions_dtype == NSAMETA_INT64) {
    write_tokens<int64_t>(block, end_token, desc_.positions, 0, shifted(INT32_MAX, -1), none);
  } else {
    write_tokens(block, end_token, desc_.positions, 0, shifted(INT32_MAX, -1), none);
  }
  write_tokens(block, end_token, desc_.indexer_ke, 0, shifted(), key_start);
}

void block_writer::write_token_outputs(const request_block& block, int64_t end_token) const {
  if (source_.clamp) {
    write_ramps<true>(block, end_token);
  } else {
    write_ramps<false>(block, end_token);
  }
  const auto request_idx = [&](int i) { return static_cast<uint32_t>(block.first_request) + static_cast<uint32_t>(i); };
  const auto key_start = [&](int i) { return block.key_start[i]; };
  write_tokens(block, end_token, desc_.token_to_batch_idx, 0, constant_run(), request_idx);
  write_tokens(block, end_token, desc_.topk_indices_offset, 0, constant_run(), key_start);
  write_tokens(block, end_token, desc_.indexer_ks, 0, constant_run(), key_start);
}

void block_writer::write_request_outputs(const request_block& block, int begin, int end) const {
  const auto first = block.first_request;
  if (desc_.cache_seqlens.data != nullptr && begin < end) {
    std::copy(block.kv + begin, block.kv + end, static_cast<int32_t*>(desc_.cache_seqlens.data) + first + begin);
  }
  if (desc_.cu_seqlens_k.data != nullptr) {
    auto* to = static_cast<int32_t*>(desc_.cu_seqlens_k.data) + first + 1;
    for (int i = begin; i < end; ++i) {
      to[i] = static_cast<int32_t>(block.key_start[i] + static_cast<uint32_t>(block.kv[i]));
    }
  }
  if (desc_.cu_seqlens_q.data != nullptr) {
    auto* to = static_cast<int32_t*>(desc_.cu_seqlens_q.data) + first + 1;
    auto sum = static_cast<uint32_t>(block.first_token);
    for (int i = 0; i < end; ++i) {
      sum += static_cast<uint32_t>(block.q[i]);
      if (i >= begin) to[i] = static_cast<int32_t>(sum);
    }
  }
  if (desc_.paged_mqa_ctx_lens_2d.data != nullptr) {
    auto* rows = static_cast<int32_t*>(desc_.paged_mqa_ctx_lens_2d.data);
    for (int i = begin; i < end; ++i) {
      std::fill_n(rows + (first + i) * desc_.ctx_lens_row_stride, desc_.ctx_lens_columns, block.kv[i]);
    }
  }
}

}  // namespace nsameta::cpu
