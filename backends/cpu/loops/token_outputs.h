// Writes the outputs that hold an element per token; see loops.h.
#pragma once

#include <cstdint>

#include "backends/cpu/loops/slot_copy.h"
#include "backends/cpu/loops/token_fill.h"
#include "backends/cpu/request_block.h"

namespace nsameta::cpu {
namespace {

class token_writer {
 public:
  token_writer(const request_source& source, const request_block& block, int64_t end_token, bool is_streamed)
      : source_(source),
        block_(block),
        end_token_(least(end_token, block.first_token + block.num_tokens)),
        is_single_(!source.is_ragged && source.width == 1),
        is_streamed_(is_streamed),
        is_narrow_(block.num_tokens <= int64_t{kNarrowTokens} * block.size) {}

  void write(const nsameta_output_set& set) const {
    if (source_.clamp) {
      write_ramps<true>(set);
    } else {
      write_ramps<false>(set);
    }
    const auto request_idx = [&](int i) {
      return static_cast<uint32_t>(block_.first_request) + static_cast<uint32_t>(i);
    };
    const auto key_start = [&](int i) { return block_.key_start[i]; };
    write_tokens(set.token_to_batch_idx, 0, constant_run(), request_idx);
    write_tokens(set.topk_indices_offset, 0, constant_run(), key_start);
    write_tokens(set.indexer_ks, 0, constant_run(), key_start);
    if (set.out_slots.data == nullptr) return;
    if (set.out_slots.dtype == NSAMETA_INT64) {
      write_slots<int64_t>(set.out_slots);
    } else {
      write_slots<int32_t>(set.out_slots);
    }
  }

 private:
  // Requests of so many tokens or fewer, on average, are written by narrow vectors.
  static constexpr int kNarrowTokens = 8;

  // Element of token t is t + num_leading. Out of line, so that an absent output costs one comparison.
  template <typename Element, typename Run, typename Base>
  [[gnu::noinline]] void fill_tokens(const nsameta_output& output, int num_leading, const Run& run, Base base) const {
    const int64_t num = least(end_token_, output.capacity - num_leading) - block_.first_token;
    if (num <= 0) return;
    auto* to = static_cast<Element*>(output.data) + block_.first_token + num_leading;
    if (is_single_) {
      fill_single(run, block_, base, to, num);
    } else if (is_streamed_) {
      fill_streamed(run, block_, base, to, num);
    } else if (kLanes > kNarrowLanes && !is_narrow_) {
      fill_cached(run, block_, base, to, num);
    } else {
      fill_cached(run.narrow(), block_, base, to, num);
    }
  }

  template <typename Element = int32_t, typename Run, typename Base>
  void write_tokens(const nsameta_output& output, int num_leading, const Run& run, Base base) const {
    if (output.data != nullptr) fill_tokens<Element>(output, num_leading, run, base);
  }

  template <typename Kept>
  void write_kept(const nsameta_output_set& set, const Kept& kept) const {
    write_tokens(set.nsa_cache_seqlens, 0, kept, [](int) { return 0U; });
    write_tokens(set.nsa_cu_seqlens_k, 1, kept_sum_run(kept), [&](int i) { return block_.kept_start[i]; });
  }

  // The outputs that follow visible lengths.
  template <bool kClamped>
  void write_ramps(const nsameta_output_set& set) const {
    const auto none = [](int) { return 0U; };
    const auto key_start = [&](int i) { return block_.key_start[i]; };
    using plain = ramp_run<false, kClamped, false>;
    using shifted = ramp_run<false, kClamped, true>;
    write_tokens(set.seqlens_expanded, 0, plain(), none);
    if (source_.sparsity.kpool > 1) {
      write_kept(set, pooled_kept_run<kClamped>(source_.sparsity));
    } else {
      write_kept(set, ramp_run<true, kClamped, false>(source_.sparsity.topk));
    }
    if (set.positions.dtype == NSAMETA_INT64) {
      write_tokens<int64_t>(set.positions, 0, shifted(INT32_MAX, -1), none);
    } else {
      write_tokens(set.positions, 0, shifted(INT32_MAX, -1), none);
    }
    write_tokens(set.indexer_ke, 0, shifted(), key_start);
  }

  template <typename Element>
  void write_slots(const nsameta_output& output) const {
    int64_t token = block_.first_token;
    const int64_t end = least(end_token_, output.capacity);
    for (int i = 0; i < block_.size && token < end; ++i) {
      const slot_row row(source_.desc.req_to_token, block_.pool_row[i]);
      const int64_t num = least(block_.q[i], end - token);
      copy_slots(row, int64_t{block_.kv[i]} - block_.q[i], num, static_cast<Element*>(output.data) + token);
      token += num;
    }
  }

  const request_source& source_;
  const request_block& block_;
  int64_t end_token_;
  bool is_single_;
  bool is_streamed_;
  bool is_narrow_;
};

void write_token_outputs(const request_source& source, const request_block& block, int64_t end_token,
                         bool is_streamed) {
  const token_writer writer(source, block, end_token, is_streamed);
  for (int i = 0; i < source.desc.num_sets; ++i) writer.write(source.desc.sets[i]);
}

}  // namespace
}  // namespace nsameta::cpu
