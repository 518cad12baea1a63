// The paged-MQA schedule for any number of requests: a block sums up chunks of requests, and a warp a row finds the
// chunk and then the request that a multiprocessor begins in.
#pragma once

#include <cstdint>

#include "backends/simt/mqa_schedule.h"

namespace nsameta::simt {

template <class Rt, int kMaxChunks, bool kRagged>
struct mqa_schedule_chunks {
  using params = build_metadata_params;
  using rule = mqa_rule<std::uint64_t>;
  using sums = schedule_sums<std::uint64_t>;
  struct smem {
    std::uint64_t weight_before[kMaxChunks + 1];
    std::uint32_t first_token[kMaxChunks + 1];
  };

  // A lane's request of kWarp neighbours, and the sums up to and with it.
  struct lane_request {
    request_lengths lengths;
    sums own;
    sums up_to;
  };

  static NSAMETA_DEVICE lane_request scan_requests(const params& p, std::int32_t query_width, std::int32_t request,
                                                   const sums& before) {
    lane_request lane{};
    if (request < p.batch) {
      lane.lengths = load_schedule_lengths<kRagged>(p, request, query_width);
      lane.own = {rule::weight(p, lane.lengths), static_cast<std::uint32_t>(lane.lengths.q)};
    }
    lane.up_to = before.plus(lane.own.template scanned<Rt, true>());
    return lane;
  }

  static NSAMETA_DEVICE sums of_last_lane(const sums& of_lanes) {
    return {shfl<Rt>(of_lanes.weight, Rt::kWarp - 1), shfl<Rt>(of_lanes.tokens, Rt::kWarp - 1)};
  }

  static NSAMETA_DEVICE std::int32_t num_chunks(const params& p) {
    return p.batch > 0 ? ((p.batch - 1) >> p.chunk_bits) + 1 : 0;
  }

  static NSAMETA_DEVICE void sum_chunks(smem& s, const params& p, std::int32_t query_width) {
    const std::int32_t chunks = num_chunks(p);
    NSAMETA_NO_UNROLL
    for (std::int32_t chunk = Rt::warp(); chunk < chunks; chunk += Rt::block_dim() / Rt::kWarp) {
      const std::int32_t begin = chunk << p.chunk_bits;
      sums sum{};
      NSAMETA_NO_UNROLL
      for (std::int32_t i = 0; i < 1 << p.chunk_bits && begin + i < p.batch; i += Rt::kWarp) {
        sum = of_last_lane(scan_requests(p, query_width, begin + i + Rt::lane(), sum).up_to);
      }
      if (Rt::lane() == 0) {
        s.weight_before[chunk + 1] = sum.weight;
        s.first_token[chunk + 1] = sum.tokens;
      }
    }
    Rt::sync_block();
    if (Rt::thread_idx() != 0) return;
    s.weight_before[0] = 0;
    s.first_token[0] = 0;
    NSAMETA_NO_UNROLL
    for (std::int32_t chunk = 0; chunk < chunks; ++chunk) {
      s.weight_before[chunk + 1] += s.weight_before[chunk];
      s.first_token[chunk + 1] += s.first_token[chunk];
    }
  }

  // The row of one multiprocessor, by a warp.
  static NSAMETA_DEVICE void write_row(const smem& s, const params& p, std::int32_t query_width, std::uint32_t row) {
    const std::int32_t chunks = num_chunks(p);
    const std::uint64_t begin = rule::begin_of(p, row, s.weight_before[chunks]);
    const std::uint64_t target = rule::target_of(p, begin);
    std::int32_t chunk = 0;
    NSAMETA_NO_UNROLL
    for (int step = kMaxChunks; step > 0; step /= 2) {
      if (chunk + step <= chunks && s.weight_before[chunk + step] <= target) chunk += step;
    }
    if (chunk >= chunks) {
      if (Rt::lane() == 0) rule::write_end(p, row, s.first_token[chunks]);
      return;
    }
    sums before{s.weight_before[chunk], s.first_token[chunk]};
    std::int32_t first = chunk << p.chunk_bits;
    for (;;) {
      const lane_request lane = scan_requests(p, query_width, first + Rt::lane(), before);
      const int owner = Rt::count_bits_below(Rt::ballot(lane.up_to.weight <= target), Rt::kWarp);
      if (owner < Rt::kWarp) {
        if (Rt::lane() != owner) return;
        const std::uint32_t start = lane.up_to.tokens - lane.own.tokens;
        return rule::write_row(p, row, begin,
                               {lane.lengths, first + owner, start, lane.up_to.weight - lane.own.weight});
      }
      before = of_last_lane(lane.up_to);
      first += Rt::kWarp;
    }
  }

  static NSAMETA_DEVICE void run(smem& s, const params& p, std::int32_t query_width) {
    sum_chunks(s, p, query_width);
    Rt::sync_block();
    const auto num_warps = static_cast<std::uint32_t>(Rt::block_dim() / Rt::kWarp);
    NSAMETA_NO_UNROLL
    for (auto row = static_cast<std::uint32_t>(Rt::warp()); row <= p.num_sms.divisor; row += num_warps) {
      write_row(s, p, query_width, row);
    }
  }
};

}  // namespace nsameta::simt
