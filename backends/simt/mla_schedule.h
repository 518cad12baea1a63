// mla_schedule: one block. All threads turn lengths into coordinates (core/mla_formula.h) in shared memory, a tile of
// requests at a time; the first warp then walks from part to part, which is serial by the rule, since how much of its
// budget a part wastes at its end decides where the next one begins. A step of the walk looks at a warp's width of
// requests at once, so it takes num_parts + batch / width steps.
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
};

template <class Rt>
struct mla_schedule_kernel {
  static constexpr int kBlock = 256;
  static constexpr int kTile = 2048;  // requests whose coordinates are in shared memory at once
  static constexpr int kNumWarps = kBlock / Rt::kWarp;

  using params = mla_schedule_params;

  struct smem {
    std::int64_t end[kTile];  // coordinate behind each request of the tile
    std::int64_t warp_sum[kNumWarps];
    std::int32_t keys[kTile];
  };

  // The requests of a tile.
  struct tile {
    std::int32_t first;
    std::int32_t size;
    std::int64_t begin;  // coordinate of the first
  };

  // Where the walk is; the same in all lanes.
  struct walk {
    std::int32_t part;
    std::int32_t request;     // the first that is not worked off
    std::int32_t block;       // the first of its blocks that is not
    std::int32_t split;       // parts that worked on it
    std::int32_t num_splits;  // parts that worked on the requests before it
    std::int32_t previous_end;
    bool is_open;        // the part has begun, and its row is not written
    std::int64_t limit;  // coordinate that the part's budget reaches
    mla::part_row row;
  };

  static NSAMETA_DEVICE std::int64_t shfl_up64(std::int64_t value, int distance) {
    const std::int32_t low = Rt::shfl_up(static_cast<std::int32_t>(value), distance);
    const std::int32_t high = Rt::shfl_up(static_cast<std::int32_t>(value >> 32), distance);
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(static_cast<std::uint32_t>(high)) << 32U |
                                     static_cast<std::uint32_t>(low));
  }

  // Sum over the threads up to this one; *all receives that over the block. Every thread calls.
  static NSAMETA_DEVICE std::int64_t inclusive_scan(smem& shared, std::int64_t value, std::int64_t* all) {
    NSAMETA_UNROLL
    for (int distance = 1; distance < Rt::kWarp; distance *= 2) {
      const std::int64_t below = shfl_up64(value, distance);
      if (Rt::lane() >= distance) value += below;
    }
    if (Rt::lane() == Rt::kWarp - 1) shared.warp_sum[Rt::warp()] = value;
    Rt::sync_block();
    std::int64_t before = 0;
    *all = 0;
    NSAMETA_UNROLL
    for (int w = 0; w < kNumWarps; ++w) {
      if (w == Rt::warp()) before = *all;
      *all += shared.warp_sum[w];
    }
    Rt::sync_block();
    return before + value;
  }

  static NSAMETA_DEVICE std::int32_t load_keys(const params& p, std::int32_t request, bool reports) {
    if (p.seq_lens == nullptr) return p.constant_keys;
    const auto length = *reinterpret_cast<const std::int32_t*>(p.seq_lens + request * p.stride_bytes);
    if (reports && length < 0) Rt::report(p.fault_word, fault_word(NSAMETA_CHECK_NEGATIVE_KV, request, length));
    return mla::keys_of(length, p.min_keys);
  }

  static NSAMETA_DEVICE std::int64_t cost_of(const params& p, std::int32_t keys) {
    return std::int64_t{mla::blocks_of(keys, p.block_size, p.layout)} + p.fixed_overhead;
  }

  // Cost of the whole batch, for those that take more than one tile.
  static NSAMETA_DEVICE std::int64_t sum_batch(smem& shared, const params& p) {
    std::int64_t sum = 0;
    for (std::int32_t r = Rt::thread_idx(); r < p.batch; r += kBlock) sum += cost_of(p, load_keys(p, r, false));
    std::int64_t total = 0;
    inclusive_scan(shared, sum, &total);
    return total;
  }

  // Fills shared memory; returns the cost of the tile. Each thread adds up neighbouring requests.
  static NSAMETA_DEVICE std::int64_t load_tile(smem& shared, const params& p, const tile& t) {
    for (std::int32_t i = Rt::thread_idx(); i < t.size; i += kBlock) shared.keys[i] = load_keys(p, t.first + i, true);
    Rt::sync_block();
    const std::int32_t share = (t.size + kBlock - 1) / kBlock;
    const std::int32_t begin = Rt::thread_idx() * share;
    const std::int32_t end = begin + share < t.size ? begin + share : t.size;
    std::int64_t sum = 0;
    for (std::int32_t i = begin; i < end; ++i) sum += cost_of(p, shared.keys[i]);
    std::int64_t total = 0;
    std::int64_t behind = t.begin + inclusive_scan(shared, sum, &total) - sum;
    for (std::int32_t i = begin; i < end; ++i) {
      behind += cost_of(p, shared.keys[i]);
      shared.end[i] = behind;
    }
    Rt::sync_block();
    return total;
  }

  static NSAMETA_DEVICE std::int64_t coordinate(const smem& shared, const tile& t, const walk& w) {
    const std::int64_t begin = w.request == t.first ? t.begin : shared.end[w.request - t.first - 1];
    return begin + w.block;
  }

  static NSAMETA_DEVICE void open_part(const smem& shared, const params& p, const tile& t, std::int64_t budget,
                                       walk& w) {
    w.row = {w.request, mla::place_of(w.block, p.block_size, p.layout), 0, 0, w.split, w.block > 0, false};
    w.limit = coordinate(shared, t, w) + budget;
    w.is_open = true;
  }

  // Takes the requests of the tile that the part can pay for whole.
  static NSAMETA_DEVICE void take_whole_requests(const smem& shared, const params& p, const tile& t, walk& w) {
    std::int32_t taken = Rt::kWarp;
    while (taken == Rt::kWarp) {
      const std::int32_t i = w.request - t.first + Rt::lane();
      const bool fits = i < t.size && shared.end[i] <= w.limit;
      taken = Rt::last_bit(Rt::ballot(fits)) + 1;  // coordinates ascend, so those that fit come first
      if (taken == 0) break;
      const std::int32_t splits_before = w.num_splits + w.split + 1;
      if (fits) p.num_splits[t.first + i + 1] = splits_before + Rt::lane();
      w.num_splits += w.split + taken;
      w.request += taken;
      w.block = w.split = 0;
    }
    if (w.request == t.first) return;
    w.previous_end = mla::end_of(shared.keys[w.request - t.first - 1], p.block_size, p.layout);
  }

  // Takes what it can of the next request, and writes the row.
  static NSAMETA_DEVICE void close_part(const smem& shared, const params& p, const tile& t, walk& w) {
    if (w.request < p.batch) {
      const std::int64_t left = w.limit - coordinate(shared, t, w) - p.fixed_overhead;
      if (left > 0) {
        w.block += static_cast<std::int32_t>(left);
        ++w.split;
      }
    }
    w.row.ends_inside = w.block > 0;
    w.row.last = w.block > 0 ? w.request : w.request - 1;
    w.row.end = w.block > 0 ? mla::place_of(w.block, p.block_size, p.layout) : w.previous_end;
    if (Rt::lane() == 0) mla::store(w.row, p.layout, p.parts + std::int64_t{w.part} * 8);
    w.is_open = false;
    ++w.part;
  }

  // Goes on until the tile is worked off, or no part is left.
  static NSAMETA_DEVICE void walk_tile(const smem& shared, const params& p, const tile& t, std::int64_t budget,
                                       walk& w) {
    const std::int32_t end = t.first + t.size;
    NSAMETA_NO_UNROLL
    while (w.is_open || (w.part < p.num_parts && w.request < end)) {
      if (!w.is_open) open_part(shared, p, t, budget, w);
      if (w.request < end) take_whole_requests(shared, p, t, w);
      if (w.request == end && end < p.batch) return;  // the part may go on in the next tile
      close_part(shared, p, t, w);
    }
  }

  static NSAMETA_DEVICE void run(smem& shared, const params& p) {
    std::int64_t total = p.batch > kTile ? sum_batch(shared, p) : 0;
    walk w{};
    tile t{};
    if (Rt::thread_idx() == 0) p.num_splits[0] = 0;
    for (; t.first < p.batch; t.first += kTile) {
      t.size = p.batch - t.first < kTile ? p.batch - t.first : kTile;
      const std::int64_t cost = load_tile(shared, p, t);
      if (p.batch <= kTile) total = cost;
      if (Rt::warp() == 0) walk_tile(shared, p, t, mla::budget(total, p.num_parts, p.fixed_overhead), w);
      t.begin += cost;
      Rt::sync_block();
    }
    if (Rt::warp() != 0) return;
    const mla::part_row idle = mla::idle_row(p.batch, w.previous_end);
    for (std::int32_t part = w.part + Rt::lane(); part < p.num_parts; part += Rt::kWarp) {
      mla::store(idle, p.layout, p.parts + std::int64_t{part} * 8);
    }
  }
};

// launch: a functor template <class Kernel>(num_blocks, block_threads, params) that returns the vendor's error code.
template <class Rt, class Launcher>
auto launch_mla_schedule(const nsameta_mla_schedule_desc& desc, std::uint64_t* fault_word, Launcher launch) {
  const std::int64_t element_bytes = desc.seq_lens.dtype == NSAMETA_INT64 ? 8 : 4;
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
                                   desc.layout};
  using kernel = mla_schedule_kernel<Rt>;
  return launch.template operator()<kernel>(1, kernel::kBlock, params);
}

template <class Rt>
void explain_launch(Rt, const nsameta_mla_schedule_desc& desc, const gpu_state& state, text_writer* text) {
  launch_mla_schedule<Rt>(desc, state.fault_word, explaining_launcher{text});
}

}  // namespace nsameta::simt
