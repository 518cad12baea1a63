// mla_schedule: one block. Where a part begins hangs on what all parts before it leave undone: budgets are P +
// overhead, and a part that begins at the coordinate c (core/mla_formula.h) ends where P is spent, at c + P, unless a
// request ends in the overhead behind that. Such a request is taken whole: the part jumps, and all parts behind it move
// by as much.
//
// All threads turn lengths into coordinates in shared memory. Then each lane of the first warp takes a part, as if none
// jumped, and looks up where it stops. The parts that do jump are settled one after the other, by a few instructions
// each: a move is at most the overhead, no request costs less, so a stop passes the end of one request at most. At last
// all threads write what follows from where the parts begin.
#pragma once

#include <cstdint>

#include "backends/simt/explaining_launcher.h"
#include "backends/simt/gpu_state.h"
#include "core/backend.h"
#include "core/fault.h"
#include "core/mla_formula.h"

namespace nsameta::simt {

struct mla_schedule_params {
  const char* seq_lens;  // NULL: constant_keys; an int64 vector is read as the low words of its elements
  std::int64_t stride_bytes;
  std::int32_t* parts;
  std::int32_t* num_splits;
  std::uint64_t* fault_word;
  std::int32_t batch;
  std::int32_t num_parts;
  std::int32_t block_size;
  std::int32_t fixed_overhead;
  std::int32_t constant_keys;
  std::int32_t min_keys;
  std::int32_t layout;
  std::int32_t chunk_bits;  // 1 << chunk_bits requests share an entry of shared memory
};

template <class Rt>
struct mla_schedule_kernel {
  static constexpr int kBlock = 256;
  static constexpr int kMaxChunks = 2048;
  static constexpr int kMaxParts = NSAMETA_MAX_MLA_PARTS;
  static constexpr int kNumWarps = kBlock / Rt::kWarp;
  static constexpr int kLoads = kMaxChunks / kBlock;  // of a thread, on their way at once
  static constexpr int kSearches = 4;                 // of a thread at once, likewise

  using params = mla_schedule_params;

  struct smem {
    std::int64_t end[kMaxChunks];  // coordinate behind each chunk of requests
    std::int64_t warp_sum[kNumWarps];
    // Where each part begins, and how many of the parts before it begin inside a request. The part behind the last
    // with work is there, too, and begins at the end of the batch.
    std::int32_t request[kMaxParts + 1];
    std::int32_t block[kMaxParts + 1];
    std::int32_t num_inside[kMaxParts + 1];
    std::int32_t num_used;  // parts with work
  };

  // Where a part stops.
  struct stop {
    std::int64_t limit;    // coordinate that its budget reaches
    std::int32_t request;  // the first that it cannot pay whole
    std::int32_t jump;     // from where P is spent to the begin of the request; not above 0: it stops inside, or there
    std::int32_t gap;      // from the limit to the end of the request, or INT32_MAX where that is less
  };

  static NSAMETA_DEVICE std::int64_t make64(std::int32_t low, std::int32_t high) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(static_cast<std::uint32_t>(high)) << 32U |
                                     static_cast<std::uint32_t>(low));
  }

  // Sum over the lanes up to this one.
  static NSAMETA_DEVICE std::int64_t inclusive_scan(std::int64_t value) {
    NSAMETA_UNROLL
    for (int distance = 1; distance < Rt::kWarp; distance *= 2) {
      const std::int32_t low = Rt::shfl_up(static_cast<std::int32_t>(value), distance);
      const std::int32_t high = Rt::shfl_up(static_cast<std::int32_t>(value >> 32), distance);
      if (Rt::lane() >= distance) value += make64(low, high);
    }
    return value;
  }

  static NSAMETA_DEVICE std::int32_t num_chunks(const params& p) { return ((p.batch - 1) >> p.chunk_bits) + 1; }

  static NSAMETA_DEVICE std::int32_t load_length(const params& p, std::int32_t request, bool exists) {
    if (p.seq_lens == nullptr) return p.constant_keys;
    return Rt::load_if(reinterpret_cast<const std::int32_t*>(p.seq_lens + request * p.stride_bytes), exists);
  }

  static NSAMETA_DEVICE std::int64_t cost_of(const params& p, std::int32_t length) {
    const std::int32_t keys = mla::keys_of(length, p.min_keys);
    return std::int64_t{mla::blocks_of(keys, p.block_size, p.layout)} + p.fixed_overhead;
  }

  // visit: a functor bool(request, length) that returns whether to go on.
  template <class Visit>
  static NSAMETA_DEVICE void visit_lengths(const params& p, std::int32_t first, std::int32_t last, Visit visit) {
    NSAMETA_NO_UNROLL
    for (std::int32_t base = first; base < last; base += kLoads) {
      std::int32_t lengths[kLoads];
      NSAMETA_UNROLL
      for (int i = 0; i < kLoads; ++i) lengths[i] = load_length(p, base + i, base + i < last);
      NSAMETA_UNROLL
      for (int i = 0; i < kLoads; ++i) {
        if (base + i >= last || !visit(base + i, lengths[i])) return;
      }
    }
  }

  // Fills shared.end; returns the cost of the batch. Each thread adds up neighbouring chunks.
  static NSAMETA_DEVICE std::int64_t sum_costs(smem& shared, const params& p) {
    const std::int32_t chunks = num_chunks(p);
    const std::int32_t share = (chunks + kBlock - 1) / kBlock;
    const std::int32_t first = (Rt::thread_idx() * share) << p.chunk_bits;
    const std::int32_t requests = share << p.chunk_bits;
    const std::int32_t last = p.batch - first < requests ? p.batch : first + requests;
    std::int64_t sum = 0;
    visit_lengths(p, first, last, [&](std::int32_t request, std::int32_t length) {
      if (length < 0) Rt::report(p.fault_word, fault_word(NSAMETA_CHECK_NEGATIVE_KV, request, length));
      sum += cost_of(p, length);
      const std::int32_t chunk = request >> p.chunk_bits;
      if (request + 1 == p.batch || (request + 1) >> p.chunk_bits != chunk) shared.end[chunk] = sum;
      return true;
    });
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
    for (std::int32_t chunk = first >> p.chunk_bits; chunk << p.chunk_bits < last; ++chunk) shared.end[chunk] += before;
    return total;
  }

  // counts[i]: values up to limits[i] among the first `size`, which ascend. The loads of a step overlap.
  template <class T, int kCount>
  static NSAMETA_DEVICE void count_up_to(const T* values, std::int32_t size, const T (&limits)[kCount],
                                         std::int32_t (&counts)[kCount]) {
    NSAMETA_UNROLL
    for (int i = 0; i < kCount; ++i) counts[i] = 0;
    std::int32_t left = size;
    NSAMETA_NO_UNROLL
    for (; left > 3; left -= left / 4 * 3) {
      const std::int32_t quarter = left / 4;
      NSAMETA_UNROLL
      for (int i = 0; i < kCount; ++i) {
        const T* const last = values + counts[i] + quarter - 1;
        const int passed = (last[0] <= limits[i] ? 1 : 0) + (last[quarter] <= limits[i] ? 1 : 0) +
                           (last[2 * quarter] <= limits[i] ? 1 : 0);
        counts[i] += passed * quarter;
      }
    }
    NSAMETA_UNROLL
    for (int i = 0; i < kCount; ++i) {
      const T* const rest = values + counts[i];
      NSAMETA_UNROLL
      for (int k = 0; k < 3; ++k) counts[i] += k < left && rest[k] <= limits[i] ? 1 : 0;
    }
  }

  // stop.gap; begin: coordinate of the stop's request.
  static NSAMETA_DEVICE std::int32_t gap_of(const smem& shared, const params& p, const stop& s, std::int64_t begin) {
    if (s.request == p.batch) return INT32_MAX;
    const std::int64_t end =
        p.chunk_bits == 0 ? shared.end[s.request] : begin + cost_of(p, load_length(p, s.request, true));
    return end - s.limit < INT32_MAX ? static_cast<std::int32_t>(end - s.limit) : INT32_MAX;
  }

  static NSAMETA_DEVICE stop find_stop(const smem& shared, const params& p, std::int64_t limit) {
    const std::int64_t limits[1] = {limit};
    std::int32_t chunks[1];
    count_up_to(shared.end, num_chunks(p), limits, chunks);
    std::int64_t begin = chunks[0] == 0 ? 0 : shared.end[chunks[0] - 1];
    stop s{limit, chunks[0] == num_chunks(p) ? p.batch : chunks[0] << p.chunk_bits, 0, 0};
    if (p.chunk_bits > 0) {
      visit_lengths(p, s.request, p.batch, [&](std::int32_t, std::int32_t length) {
        const std::int64_t end = begin + cost_of(p, length);
        if (end > limit) return false;
        begin = end;
        ++s.request;
        return true;
      });
    }
    if (s.request < p.batch) s.jump = static_cast<std::int32_t>(begin - limit + p.fixed_overhead);
    s.gap = gap_of(shared, p, s, begin);
    return s;
  }

  // Moves a stop that is not at the end of the batch by 1 to fixed_overhead.
  static NSAMETA_DEVICE void move_stop(const smem& shared, const params& p, std::int32_t distance, stop& s) {
    s.limit += distance;
    s.gap -= distance;
    if (s.gap > 0) {
      s.jump -= distance;
      return;
    }
    const std::int64_t begin = s.limit + s.gap;
    ++s.request;
    s.jump = s.request < p.batch ? s.gap + p.fixed_overhead : 0;
    s.gap = gap_of(shared, p, s, begin);
  }

  // Settles the jumps of a warp's parts. Each moves the parts behind it, which may jump for that, or no longer.
  static NSAMETA_DEVICE void settle_jumps(const smem& shared, const params& p, stop& s) {
    typename Rt::mask jumps = Rt::ballot(s.jump > 0);
    NSAMETA_NO_UNROLL
    while (jumps != 0) {
      const int jumper = Rt::first_bit(jumps);
      const std::int32_t distance = Rt::shfl(s.jump, jumper);
      const bool is_behind = Rt::lane() > jumper;
      if (is_behind && s.request < p.batch) move_stop(shared, p, distance, s);
      jumps = Rt::ballot(is_behind && s.jump > 0);
    }
  }

  // Finds where parts begin, in the first warp; of a batch that has requests.
  static NSAMETA_DEVICE void walk(smem& shared, const params& p, std::int64_t budget) {
    const std::int64_t step = budget - p.fixed_overhead;
    // Of parts that there are, so that nothing overflows.
    const std::int64_t to_limit = (Rt::lane() < p.num_parts ? Rt::lane() : p.num_parts - 1) * step + budget;
    std::int64_t begin = 0;  // of the warp's first part
    std::int32_t num_inside = 0;
    typename Rt::mask at_end = 0;
    NSAMETA_NO_UNROLL
    for (std::int32_t part = 0; at_end == 0; part += Rt::kWarp) {
      stop s = find_stop(shared, p, begin + to_limit);
      settle_jumps(shared, p, s);
      const std::int32_t next = part + Rt::lane() + 1;
      const typename Rt::mask inside = Rt::ballot(s.jump < 0);
      if (next <= p.num_parts) {
        shared.request[next] = s.request;
        shared.block[next] = s.jump < 0 ? -s.jump : 0;
        shared.num_inside[next] = num_inside + Rt::count_bits_below(inside, Rt::lane());
      }
      num_inside += Rt::count_bits_below(inside, Rt::kWarp);
      const std::int64_t end = s.limit - p.fixed_overhead + (s.jump > 0 ? s.jump : 0);
      begin = make64(Rt::shfl(static_cast<std::int32_t>(end), Rt::kWarp - 1),
                     Rt::shfl(static_cast<std::int32_t>(end >> 32), Rt::kWarp - 1));
      at_end = Rt::ballot(s.request == p.batch);
      if (at_end != 0 && Rt::lane() == 0) shared.num_used = part + Rt::first_bit(at_end) + 1;
    }
  }

  // How many parts begin inside the requests up to each of `requests`.
  template <int kCount>
  static NSAMETA_DEVICE void count_inside(const smem& shared, const std::int32_t (&requests)[kCount],
                                          std::int32_t (&counts)[kCount]) {
    count_up_to(shared.request, shared.num_used, requests, counts);
    NSAMETA_UNROLL
    for (int i = 0; i < kCount; ++i) counts[i] = shared.num_inside[counts[i]];
  }

  static NSAMETA_DEVICE std::int32_t end_of_request(const params& p, std::int32_t request) {
    const std::int32_t keys = mla::keys_of(load_length(p, request, true), p.min_keys);
    return mla::end_of(keys, p.block_size, p.layout);
  }

  static NSAMETA_DEVICE mla::part_row row_of(const smem& shared, const params& p, std::int32_t part) {
    const std::int32_t first = shared.request[part];
    const std::int32_t block = shared.block[part];
    const std::int32_t next = shared.request[part + 1];
    const std::int32_t next_block = shared.block[part + 1];
    mla::part_row row{first, mla::place_of(block, p.block_size, p.layout), next, 0, 0, block > 0, next_block > 0};
    if (block > 0) {
      const std::int32_t requests[1] = {first - 1};
      std::int32_t counts[1];
      count_inside(shared, requests, counts);
      row.split = shared.num_inside[part] + 1 - counts[0];
    }
    if (next_block == 0) --row.last;
    row.end = next_block > 0 ? mla::place_of(next_block, p.block_size, p.layout) : end_of_request(p, next - 1);
    return row;
  }

  static NSAMETA_DEVICE void write_parts(const smem& shared, const params& p) {
    NSAMETA_NO_UNROLL
    for (std::int32_t part = Rt::thread_idx(); part < p.num_parts; part += kBlock) {
      const bool is_used = part < shared.num_used;
      const mla::part_row row =
          is_used ? row_of(shared, p, part) : mla::idle_row(p.batch, p.batch == 0 ? 0 : end_of_request(p, p.batch - 1));
      mla::store(row, p.layout, p.parts + std::int64_t{part} * 8);
    }
  }

  static NSAMETA_DEVICE void write_num_splits(const smem& shared, const params& p) {
    if (Rt::thread_idx() == 0) p.num_splits[0] = 0;
    NSAMETA_NO_UNROLL
    for (std::int32_t base = Rt::thread_idx(); base < p.batch; base += kSearches * kBlock) {
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
    if (Rt::thread_idx() == 0) shared.request[0] = shared.block[0] = shared.num_inside[0] = shared.num_used = 0;
    Rt::sync_block();
    if (p.batch > 0 && Rt::warp() == 0) walk(shared, p, budget);
    Rt::sync_block();
    write_parts(shared, p);
    write_num_splits(shared, p);
  }
};

// launch: a functor template <class Kernel>(num_blocks, block_threads, params) that returns the vendor's error code.
template <class Rt, class Launcher>
auto launch_mla_schedule(const nsameta_mla_schedule_desc& desc, std::uint64_t* fault_word, Launcher launch) {
  using kernel = mla_schedule_kernel<Rt>;
  const std::int64_t element_bytes = desc.seq_lens.dtype == NSAMETA_INT64 ? 8 : 4;
  std::int32_t chunk_bits = 0;
  while ((desc.batch - 1) >> chunk_bits >= kernel::kMaxChunks) ++chunk_bits;
  const mla_schedule_params params{static_cast<const char*>(desc.seq_lens.data),
                                   desc.seq_lens.stride * element_bytes,
                                   desc.parts,
                                   desc.num_splits,
                                   fault_word,
                                   desc.batch,
                                   desc.num_parts,
                                   desc.block_size,
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
