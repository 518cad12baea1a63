#include "backends/cpu/block_writer.h"

#include <algorithm>

#include "backends/cpu/slots.h"
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
void block_writer::write_kept(const nsameta_output_set& set, const request_block& block, int64_t end_token,
                              const Kept& kept) const {
  write_tokens(block, end_token, set.nsa_cache_seqlens, 0, kept, [](int) { return 0U; });
  write_tokens(block, end_token, set.nsa_cu_seqlens_k, 1, kept_sum_run(kept),
               [&](int i) { return block.kept_start[i]; });
}

template <bool kClamped>
void block_writer::write_ramps(const nsameta_output_set& set, const request_block& block, int64_t end_token) const {
  const auto none = [](int) { return 0U; };
  const auto key_start = [&](int i) { return block.key_start[i]; };
  using plain = ramp_run<false, kClamped, false>;
  using shifted = ramp_run<false, kClamped, true>;
  write_tokens(block, end_token, set.seqlens_expanded, 0, plain(), none);
  if (source_.sparsity.kpool > 1) {
    write_kept(set, block, end_token, pooled_kept_run<kClamped>(source_.sparsity));
  } else {
    write_kept(set, block, end_token, ramp_run<true, kClamped, false>(source_.sparsity.topk));
  }
  if (set.positions.dtype == NSAMETA_INT64) {
    write_tokens<int64_t>(block, end_token, set.positions, 0, shifted(INT32_MAX, -1), none);
  } else {
    write_tokens(block, end_token, set.positions, 0, shifted(INT32_MAX, -1), none);
  }
  write_tokens(block, end_token, set.indexer_ke, 0, shifted(), key_start);
}

template <typename Element>
void block_writer::write_slots(const request_block& block, int64_t end_token, const nsameta_output& output) const {
  int64_t token = block.first_token;
  const int64_t end = std::min(end_token, output.capacity);
  for (int i = 0; i < block.size && token < end; ++i) {
    const slot_row row(desc().req_to_token, block.pool_row[i]);
    const int64_t num = std::min<int64_t>(block.q[i], end - token);
    copy_slots(row, int64_t{block.kv[i]} - block.q[i], num, static_cast<Element*>(output.data) + token);
    token += num;
  }
}

void block_writer::write_token_outputs(const request_block& block, int64_t end_token) const {
  for (int i = 0; i < desc().num_sets; ++i) write_token_outputs(desc().sets[i], block, end_token);
}

void block_writer::write_token_outputs(const nsameta_output_set& set, const request_block& block,
                                       int64_t end_token) const {
  if (source_.clamp) {
    write_ramps<true>(set, block, end_token);
  } else {
    write_ramps<false>(set, block, end_token);
  }
  const auto request_idx = [&](int i) { return static_cast<uint32_t>(block.first_request) + static_cast<uint32_t>(i); };
  const auto key_start = [&](int i) { return block.key_start[i]; };
  write_tokens(block, end_token, set.token_to_batch_idx, 0, constant_run(), request_idx);
  write_tokens(block, end_token, set.topk_indices_offset, 0, constant_run(), key_start);
  write_tokens(block, end_token, set.indexer_ks, 0, constant_run(), key_start);
  if (set.out_slots.data == nullptr) return;
  if (set.out_slots.dtype == NSAMETA_INT64) {
    write_slots<int64_t>(block, end_token, set.out_slots);
  } else {
    write_slots<int32_t>(block, end_token, set.out_slots);
  }
}

void block_writer::write_request_outputs(const request_block& block, int begin, int end) const {
  for (int i = 0; i < desc().num_sets; ++i) write_request_outputs(desc().sets[i], block, begin, end);
}

void block_writer::write_request_outputs(const nsameta_output_set& set, const request_block& block, int begin,
                                         int end) const {
  const auto first = block.first_request;
  if (set.cache_seqlens.data != nullptr && begin < end) {
    std::copy(block.kv + begin, block.kv + end, static_cast<int32_t*>(set.cache_seqlens.data) + first + begin);
  }
  if (set.cu_seqlens_k.data != nullptr) {
    auto* to = static_cast<int32_t*>(set.cu_seqlens_k.data) + first + 1;
    for (int i = begin; i < end; ++i) {
      to[i] = static_cast<int32_t>(block.key_start[i] + static_cast<uint32_t>(block.kv[i]));
    }
  }
  if (set.cu_seqlens_q.data != nullptr) {
    auto* to = static_cast<int32_t*>(set.cu_seqlens_q.data) + first + 1;
    auto sum = static_cast<uint32_t>(block.first_token);
    for (int i = 0; i < end; ++i) {
      sum += static_cast<uint32_t>(block.q[i]);
      if (i >= begin) to[i] = static_cast<int32_t>(sum);
    }
  }
  if (set.paged_mqa_ctx_lens_2d.data != nullptr) {
    const nsameta_output& output = set.paged_mqa_ctx_lens_2d;
    auto* rows = static_cast<int32_t*>(output.data);
    for (int i = begin; i < end; ++i) {
      std::fill_n(rows + (first + i) * output.row_stride, output.num_columns, block.kv[i]);
    }
  }
}

}  // namespace nsameta::cpu
