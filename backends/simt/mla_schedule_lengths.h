// The lengths of mla_schedule, and what requests cost.
#pragma once

#include <cstdint>

#include "core/formula.h"
#include "core/mla_formula.h"

namespace nsameta::simt {

struct mla_schedule_params {
  const char* seq_lens;  // NULL: constant_keys; an int64 vector is read as the low words of its elements
  std::int64_t stride_bytes;
  std::int32_t* parts;
  std::int32_t* num_splits;
  std::uint64_t* fault_word;
  formula::divider block_size;
  std::int32_t batch;
  std::int32_t num_parts;
  std::int32_t fixed_overhead;
  std::int32_t constant_keys;
  std::int32_t min_keys;
  std::int32_t layout;
  std::int32_t chunk_bits;  // 1 << chunk_bits requests share an entry of shared memory
};

template <class Rt>
struct mla_lengths {
  using params = mla_schedule_params;

  // Of a thread, on their way at once. With 8 of them waves of 64 spill scalar registers.
  static constexpr int kLoads = 4;

  static NSAMETA_DEVICE std::int32_t load(const params& p, std::int32_t request, bool exists = true) {
    const bool is_stored = p.seq_lens != nullptr;
    const auto* const address = reinterpret_cast<const std::int32_t*>(p.seq_lens + request * p.stride_bytes);
    const std::int32_t length = Rt::load_if(address, is_stored && exists);
    return is_stored ? length : p.constant_keys;
  }

  // The block size divides by a multiplication: what is left counts blocks of one key.
  static NSAMETA_DEVICE std::int64_t cost_of(const params& p, std::int32_t length) {
    const std::int32_t keys = mla::keys_of(length, p.min_keys);
    const std::int32_t blocks =
        keys > 0 ? static_cast<std::int32_t>(p.block_size.divide(static_cast<std::uint32_t>(keys - 1))) + 1 : 0;
    return std::int64_t{mla::blocks_of(blocks, 1, p.layout)} + p.fixed_overhead;
  }

  // Where a request ends that is worked off whole.
  static NSAMETA_DEVICE std::int32_t end_of(const params& p, std::int32_t request) {
    const std::int32_t keys = mla::keys_of(load(p, request), p.min_keys);
    return mla::end_of(keys, block_size(p), p.layout);
  }

  static NSAMETA_DEVICE std::int32_t place_of(const params& p, std::int32_t block) {
    return mla::place_of(block, block_size(p), p.layout);
  }

  // visit: a functor bool(request, length) that returns whether to go on.
  template <class Visit>
  static NSAMETA_DEVICE void for_each(const params& p, std::int32_t first, std::int32_t last, Visit visit) {
    NSAMETA_NO_UNROLL
    for (std::int32_t base = first; base < last; base += kLoads) {
      std::int32_t lengths[kLoads];
      NSAMETA_UNROLL
      for (int i = 0; i < kLoads; ++i) lengths[i] = load(p, base + i, base + i < last);
      NSAMETA_UNROLL
      for (int i = 0; i < kLoads; ++i) {
        if (base + i >= last || !visit(base + i, lengths[i])) return;
      }
    }
  }

 private:
  static NSAMETA_DEVICE std::int32_t block_size(const params& p) {
    return static_cast<std::int32_t>(p.block_size.divisor);
  }
};

}  // namespace nsameta::simt
