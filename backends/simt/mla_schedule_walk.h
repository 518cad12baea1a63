// How mla_schedule finds where parts begin, which hangs on what all parts before leave undone. A budget is a share P of
// the batch's cost, and the overhead: a part that begins at the coordinate c (core/mla_formula.h) ends where P is
// spent, at c + P, unless a request ends in the overhead behind that. Such a request is taken whole: the part jumps,
// and all parts behind it move by as much.
//
// Each lane of a warp takes a part, as if none of the others jumped, and looks up where it stops. Those that do jump
// are settled one after the other, by a few instructions each: a part moves by the overhead at most, and no request
// costs less, so that its stop passes the end of one request at most.
#pragma once

#include <cstdint>

#include "backends/simt/mla_schedule_lengths.h"
#include "nsameta/nsameta.h"

namespace nsameta::simt {

template <class Rt>
struct mla_walk {
  using params = mla_schedule_params;
  using lengths = mla_lengths<Rt>;

  static constexpr int kMaxChunks = 2048;
  static constexpr int kMaxParts = NSAMETA_MAX_MLA_PARTS;

  struct smem {
    std::int64_t end[kMaxChunks];  // coordinate behind each chunk of requests
    // Where each part begins, and how many of the parts before it begin inside a request. The part behind the last
    // with work is there, too, and begins at the end of the batch.
    std::int32_t request[kMaxParts + 1];
    std::int32_t block[kMaxParts + 1];
    std::int32_t num_inside[kMaxParts + 1];
    std::int32_t num_used;  // parts with work
  };

  static NSAMETA_DEVICE std::int32_t num_chunks(const params& p) { return ((p.batch - 1) >> p.chunk_bits) + 1; }

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

  // Fills all of `shared` behind `end`, in one warp.
  static NSAMETA_DEVICE void run(smem& shared, const params& p, std::int64_t budget) {
    if (Rt::lane() == 0) shared.request[0] = shared.block[0] = shared.num_inside[0] = shared.num_used = 0;
    if (p.batch > 0) place_parts(shared, p, budget);
  }

  static NSAMETA_DEVICE std::int64_t make64(std::int32_t low, std::int32_t high) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(static_cast<std::uint32_t>(high)) << 32U |
                                     static_cast<std::uint32_t>(low));
  }

 private:
  // Where a part stops.
  struct stop {
    std::int64_t limit;    // coordinate that its budget reaches
    std::int32_t request;  // the first that it cannot pay whole
    std::int32_t jump;     // from where P is spent to the begin of the request; below 0: stops so many blocks inside
    std::uint32_t gap;     // from the limit to the end of the request; UINT32_MAX where there is no request
  };

  // stop.gap; begin: coordinate of the stop's request. Without a branch around the load: with one, ptxas 13.0 loads by
  // a register that it has set to the batch before (sm_90; the emulator ran the same source right).
  static NSAMETA_DEVICE std::uint32_t gap_of(const smem& shared, const params& p, const stop& s, std::int64_t begin) {
    const bool is_at_end = s.request == p.batch;
    const std::int32_t existing = is_at_end ? s.request - 1 : s.request;
    const std::int64_t end =
        p.chunk_bits == 0 ? shared.end[existing] : begin + lengths::cost_of(p, lengths::load(p, existing));
    return is_at_end ? UINT32_MAX : static_cast<std::uint32_t>(end - s.limit);  // not more than the request costs
  }

  static NSAMETA_DEVICE stop find_stop(const smem& shared, const params& p, std::int64_t limit) {
    const std::int64_t limits[1] = {limit};
    std::int32_t chunks[1];
    count_up_to(shared.end, num_chunks(p), limits, chunks);
    std::int64_t begin = chunks[0] == 0 ? 0 : shared.end[chunks[0] - 1];
    stop s{limit, chunks[0] == num_chunks(p) ? p.batch : chunks[0] << p.chunk_bits, 0, 0};
    if (p.chunk_bits > 0) {
      lengths::for_each(p, s.request, p.batch, [&](std::int32_t, std::int32_t length) {
        const std::int64_t end = begin + lengths::cost_of(p, length);
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
    const auto moved = static_cast<std::uint32_t>(distance);
    if (moved < s.gap) {
      s.gap -= moved;
      s.jump -= distance;
      return;
    }
    const auto passed_by = static_cast<std::int32_t>(moved - s.gap);
    ++s.request;
    s.jump = p.fixed_overhead - passed_by;
    s.gap = gap_of(shared, p, s, s.limit - passed_by);
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

  static NSAMETA_DEVICE void place_parts(smem& shared, const params& p, std::int64_t budget) {
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
};

}  // namespace nsameta::simt
