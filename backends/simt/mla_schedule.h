// mla_schedule: one block. All threads turn lengths into coordinates in shared memory, a warp finds where parts begin,
// and all threads write what follows from that.
#pragma once

#include <cstdint>

#include "backends/simt/explaining_launcher.h"
#include "backends/simt/gpu_state.h"
#include "backends/simt/mla_schedule_lengths.h"
#include "backends/simt/mla_schedule_walk.h"
#include "core/backend.h"
#include "core/fault.h"
#include "core/mla_formula.h"

namespace nsameta::simt {

template <class Rt>
struct mla_schedule_kernel {
  using params = mla_schedule_params;
  using lengths = mla_lengths<Rt>;
  using walk = mla_walk<Rt>;
  using walk_smem = typename walk::smem;

  static constexpr int kBlock = 256;
  static constexpr int kNumWarps = kBlock / Rt::kWarp;
  static constexpr int kSearches = 4;  // of a thread at once, so that their loads overlap

  struct smem {
    walk_smem walk;
    std::int64_t warp_sum[kNumWarps];
  };

  // Sum over the lanes up to this one.
  static NSAMETA_DEVICE std::int64_t inclusive_scan(std::int64_t value) {
    NSAMETA_UNROLL
    for (int distance = 1; distance < Rt::kWarp; distance *= 2) {
      const std::int32_t low = Rt::shfl_up(static_cast<std::int32_t>(value), distance);
      const std::int32_t high = Rt::shfl_up(static_cast<std::int32_t>(value >> 32), distance);
      if (Rt::lane() >= distance) value += walk::make64(low, high);
    }
    return value;
  }

  static NSAMETA_DEVICE void report_negatives(const params& p, std::int32_t first, std::int32_t last) {
    NSAMETA_NO_UNROLL
    for (std::int32_t r = first; r < last; ++r) {
      const std::int32_t length = lengths::load(p, r);
      if (length < 0) Rt::report(p.fault_word, fault_word(NSAMETA_CHECK_NEGATIVE_KV, r, length));
    }
  }

  // Fills shared.walk.end; returns the cost of the batch. Each thread adds up neighbouring chunks.
  static NSAMETA_DEVICE std::int64_t sum_costs(smem& shared, const params& p) {
    std::int64_t* const end = shared.walk.end;
    const std::int32_t share = (walk::num_chunks(p) + kBlock - 1) / kBlock;
    const std::int32_t first = (Rt::thread_idx() * share) << p.chunk_bits;
    const std::int32_t requests = share << p.chunk_bits;
    const std::int32_t last = p.batch - first < requests ? p.batch : first + requests;
    std::int64_t sum = 0;
    std::int32_t signs = 0;
    lengths::for_each(p, first, last, [&](std::int32_t request, std::int32_t length) {
      signs |= length;
      sum += lengths::cost_of(p, length);
      const std::int32_t chunk = request >> p.chunk_bits;
      if (request + 1 == p.batch || (request + 1) >> p.chunk_bits != chunk) end[chunk] = sum;
      return true;
    });
    if (signs < 0) report_negatives(p, first, last);
    const std::int64_t up_to_here = inclusive_scan(sum);
    if (Rt::lane() == Rt::kWarp - 1) shared.warp_sum[Rt::warp()] = up_to_here;
    Rt::sync_block();
    std::int64_t before = up_to_here - sum;
    std::int64_t total = 0;
    NSAMETA_UNROLL
    for (int w = 0; w < kNumWarps; ++w) {
      if (w < Rt::warp()) before += shared.warp_sum[w];
      total += shared.warp_sum[w];
    }
    NSAMETA_NO_UNROLL
    for (std::int32_t chunk = first >> p.chunk_bits; chunk << p.chunk_bits < last; ++chunk) end[chunk] += before;
    return total;
  }

  // How many parts begin inside the requests up to each of `requests`.
  template <int kCount>
  static NSAMETA_DEVICE void count_inside(const walk_smem& shared, const std::int32_t (&requests)[kCount],
                                          std::int32_t (&counts)[kCount]) {
    walk::count_up_to(shared.request, shared.num_used, requests, counts);
    NSAMETA_UNROLL
    for (int i = 0; i < kCount; ++i) counts[i] = shared.num_inside[counts[i]];
  }

  static NSAMETA_DEVICE mla::part_row row_of(const walk_smem& shared, const params& p, std::int32_t part) {
    const std::int32_t first = shared.request[part];
    const std::int32_t block = shared.block[part];
    const std::int32_t next = shared.request[part + 1];
    const std::int32_t next_block = shared.block[part + 1];
    mla::part_row row{first, lengths::place_of(p, block), next, 0, 0, block > 0, next_block > 0};
    if (block > 0) {
      const std::int32_t requests[1] = {first - 1};
      std::int32_t counts[1];
      count_inside(shared, requests, counts);
      row.split = shared.num_inside[part] + 1 - counts[0];
    }
    if (next_block == 0) --row.last;
    row.end = next_block > 0 ? lengths::place_of(p, next_block) : lengths::end_of(p, next - 1);
    return row;
  }

  static NSAMETA_DEVICE void write_parts(const walk_smem& shared, const params& p) {
    NSAMETA_NO_UNROLL
    for (std::int32_t part = Rt::thread_idx(); part < p.num_parts; part += kBlock) {
      const bool is_used = part < shared.num_used;
      const mla::part_row row = is_used ? row_of(shared, p, part)
                                        : mla::idle_row(p.batch, p.batch == 0 ? 0 : lengths::end_of(p, p.batch - 1));
      mla::store(row, p.layout, p.parts + std::int64_t{part} * 8);
    }
  }

  static NSAMETA_DEVICE void write_num_splits(const walk_smem& shared, const params& p) {
    if (Rt::thread_idx() == 0) p.num_splits[0] = 0;
    // From the last thread on: where there are few requests, by warps that have no parts.
    NSAMETA_NO_UNROLL
    for (std::int32_t base = kBlock - 1 - Rt::thread_idx(); base < p.batch; base += kSearches * kBlock) {
      std::int32_t requests[kSearches];
      std::int32_t counts[kSearches];
      NSAMETA_UNROLL
      for (int i = 0; i < kSearches; ++i) requests[i] = base + i * kBlock;
      count_inside(shared, requests, counts);
      NSAMETA_UNROLL
      for (int i = 0; i < kSearches; ++i) {
        if (requests[i] < p.batch) p.num_splits[requests[i] + 1] = requests[i] + 1 + counts[i];
      }
    }
  }

  static NSAMETA_DEVICE void run(smem& shared, const params& p) {
    const std::int64_t budget = mla::budget(sum_costs(shared, p), p.num_parts, p.fixed_overhead);
    Rt::sync_block();
    if (Rt::warp() == 0) walk::run(shared.walk, p, budget);
    Rt::sync_block();
    write_parts(shared.walk, p);
    write_num_splits(shared.walk, p);
  }
};

// launch: a functor template <class Kernel>(num_blocks, block_threads, params) that returns the vendor's error code.
template <class Rt, class Launcher>
auto launch_mla_schedule(const nsameta_mla_schedule_desc& desc, std::uint64_t* fault_word, Launcher launch) {
  using kernel = mla_schedule_kernel<Rt>;
  const std::int64_t element_bytes = desc.seq_lens.dtype == NSAMETA_INT64 ? 8 : 4;
  std::int32_t chunk_bits = 0;
  while ((desc.batch - 1) >> chunk_bits >= mla_walk<Rt>::kMaxChunks) ++chunk_bits;
  const mla_schedule_params params{static_cast<const char*>(desc.seq_lens.data),
                                   desc.seq_lens.stride * element_bytes,
                                   desc.parts,
                                   desc.num_splits,
                                   fault_word,
                                   formula::divider::make(static_cast<std::uint32_t>(desc.block_size)),
                                   desc.batch,
                                   desc.num_parts,
                                   desc.fixed_overhead,
                                   desc.constant_keys,
                                   desc.min_keys,
                                   desc.layout,
                                   chunk_bits};
  return launch.template operator()<kernel>(1, kernel::kBlock, params);
}

template <class Rt>
void explain_launch(Rt, const nsameta_mla_schedule_desc& desc, const gpu_state& state, text_writer* text) {
  launch_mla_schedule<Rt>(desc, state.fault_word, explaining_launcher{text});
}

}  // namespace nsameta::simt
