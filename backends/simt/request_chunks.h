// Sums over the requests of a batch of any size: requests are divided into at most kMaxChunks chunks, and each block
// sums up all of them by itself, or its share of them in a cluster, whose blocks tell each other. What lies before a
// chunk every warp adds up when it asks.
#pragma once

#include <cstdint>

#include "backends/simt/build_metadata_policy.h"
#include "backends/simt/chunk_sums.h"
#include "backends/simt/lane_requests.h"

namespace nsameta::simt {

struct half_open {
  std::int32_t begin;
  std::int32_t end;
};

template <class Rt, bool kRagged, unsigned kSums>
struct request_chunks {
  static constexpr int kOfLane = kMaxChunks / Rt::kWarp;
  using params = build_metadata_params;
  using sums = prefix_sum<kSums>;
  using requests = lane_requests<Rt, kRagged, kSums>;
  struct smem {
    typename sums::template array<kMaxChunks> of_chunk;
  };

  // Of this block.
  static NSAMETA_DEVICE std::int32_t num_warps() { return Rt::block_dim() / Rt::kWarp; }

  // Launches with tables have no clusters, since their first blocks do something else.
  static constexpr bool kMayShare = Rt::kHasClusters && !sums::kHasHighKeys;

  // Blocks that share the sums.
  static NSAMETA_DEVICE int cluster_size() {
    if constexpr (kMayShare) return Rt::cluster_size();
    return 1;
  }
  static NSAMETA_DEVICE std::int32_t warp_of_cluster() {
    if constexpr (kMayShare) return Rt::warp() * Rt::cluster_size() + Rt::cluster_rank();
    return Rt::warp();
  }

  static NSAMETA_DEVICE std::int32_t count(const params& p) {
    return p.batch > 0 ? ((p.batch - 1) >> p.chunk_bits) + 1 : 1;
  }

  static NSAMETA_DEVICE half_open requests_of(const params& p, std::int32_t chunk) {
    const std::int32_t begin = chunk << p.chunk_bits;
    return {begin, p.batch - begin > 1 << p.chunk_bits ? begin + (1 << p.chunk_bits) : p.batch};
  }

  // Every thread of the block calls. Behind it the sums are there.
  static NSAMETA_DEVICE void sum(smem& s, const params& p, std::int32_t query_width) {
    if constexpr (kMayShare) {
      if (cluster_size() > 1) Rt::begin_cluster();
    }
    const std::int32_t width = not_negative(query_width);
    const bool is_plain = p.sparsity.kpool == 1 && p.sparsity.topk <= formula::kMaxPlainSum &&
                          (kRagged || width <= formula::kMaxPlainSum);
    if (requests::are_packed(p) && (!sums::kHasKeys || is_plain)) {
      sum_chunks<true>(s, p, width);
    } else {
      sum_chunks<false>(s, p, width);
    }
    if constexpr (kRagged) {
      for (std::int32_t i = count(p) + Rt::thread_idx(); i < kMaxChunks; i += Rt::block_dim()) s.of_chunk.tokens[i] = 0;
    }
    if constexpr (kMayShare) {
      if (cluster_size() > 1) return Rt::sync_cluster();
    }
    Rt::sync_block();
  }

  template <bool kFast>
  static NSAMETA_DEVICE void sum_chunks(smem& s, const params& p, std::int32_t query_width) {
    using chunk_sums = simt::chunk_sums<Rt, kRagged, kSums, kFast>;
    constexpr int kOfWarp = Rt::kWarp / chunk_sums::kGroup;
    const std::int32_t chunks = count(p);
    NSAMETA_NO_UNROLL
    for (std::int32_t begin = warp_of_cluster() * kOfWarp; begin < chunks;
         begin += cluster_size() * num_warps() * kOfWarp) {
      const std::int32_t chunk = begin + Rt::lane() / chunk_sums::kGroup;
      const auto sum = chunk_sums::add_up(p, chunk, query_width);
      const prefix all = sum.reduce(p);
      if (kRagged && Rt::any(!sum.is_exact(p))) {
        NSAMETA_NO_UNROLL
        for (int i = 0; i < kOfWarp; ++i) sum_checked(s, p, begin + i);
      } else if (chunk < chunks) {
        put(s, chunk, all, chunk_sums::lane_of_group());
      }
    }
  }

  // For queries that are negative or so long that sums have to be capped. By a whole warp.
  static NSAMETA_DEVICE void sum_checked(smem& s, const params& p, std::int32_t chunk) {
    if (chunk >= count(p)) return;
    const half_open of_chunk = requests_of(p, chunk);
    prefix partial{};
    NSAMETA_NO_UNROLL
    for (std::int32_t first = of_chunk.begin; first < of_chunk.end; first += requests::kOfWarp) {
      partial = sums::add(partial, requests::load(p, first, 0).sum(p));
    }
    put(s, chunk, sums::template reduce<Rt>(partial), Rt::lane());
  }

  // To this block and to its peers, one a lane.
  static NSAMETA_DEVICE void put(smem& s, std::int32_t chunk, const prefix& all, int lane) {
    if (lane >= cluster_size()) return;
    if constexpr (kMayShare) {
      if (cluster_size() > 1) {
        return s.of_chunk.set(chunk, all,
                              [lane](std::int32_t* cell, std::int32_t x) { Rt::store_to_peer(cell, lane, x); });
      }
    }
    s.of_chunk.set(chunk, all);
  }

  // ---- what follows is called by all lanes of a warp ----------------------------------------------------------------

  // Sums over the requests of the chunks before one; of count(p): over all.
  static NSAMETA_DEVICE prefix before(const smem& s, std::int32_t chunk) {
    prefix sum{};
    NSAMETA_UNROLL
    for (int i = 0; i < kOfLane; ++i) {
      const std::int32_t other = i * Rt::kWarp + Rt::lane();
      if (other < chunk) sum = sums::add(sum, s.of_chunk.get(other));
    }
    return sums::template reduce<Rt>(sum);
  }

  // Tokens up to and with each chunk, kOfLane neighbouring chunks a lane.
  struct token_scan {
    std::int32_t up_to[kOfLane];
    std::int32_t total;

    // The chunk that holds token t of a ragged launch, and the tokens before it.
    struct place {
      std::int32_t chunk;
      std::int32_t before;
    };

    NSAMETA_DEVICE place find(std::int32_t t) const {
      std::int32_t passed = 0;
      std::int32_t last_passed = 0;
      NSAMETA_UNROLL
      for (int i = 0; i < kOfLane; ++i) {
        passed += up_to[i] <= t ? 1 : 0;
        last_passed = up_to[i] <= t ? up_to[i] : last_passed;
      }
      const std::int32_t chunk = Rt::reduce_add(passed);
      const std::int32_t before = Rt::shfl(last_passed, (chunk - 1) / kOfLane);
      return {chunk, chunk > 0 ? before : 0};
    }
  };

  static NSAMETA_DEVICE token_scan scan_tokens(const smem& s) {
    token_scan scan;
    const std::int32_t* const of_lane = s.of_chunk.tokens + Rt::lane() * kOfLane;
    scan.up_to[0] = of_lane[0];
    NSAMETA_UNROLL
    for (int i = 1; i < kOfLane; ++i) scan.up_to[i] = saturating_add(scan.up_to[i - 1], of_lane[i]);
    const std::int32_t up_to = saturating_scan<Rt>(scan.up_to[kOfLane - 1]);
    scan.total = Rt::shfl(up_to, Rt::kWarp - 1);
    const std::int32_t of_lanes_below = Rt::shfl_up(up_to, 1);
    const std::int32_t before_lane = Rt::lane() == 0 ? 0 : of_lanes_below;
    NSAMETA_UNROLL
    for (int i = 0; i < kOfLane; ++i) scan.up_to[i] = saturating_add(before_lane, scan.up_to[i]);
    return scan;
  }

  // Sums over the requests before one.
  static NSAMETA_DEVICE prefix sums_before(const smem& s, const params& p, std::int32_t query_width,
                                           std::int32_t request) {
    const std::int32_t chunk = request >> p.chunk_bits;
    prefix sum = before(s, chunk);
    NSAMETA_NO_UNROLL
    for (std::int32_t first = chunk << p.chunk_bits; first < request; first += Rt::kWarp) {
      const std::int32_t i = first + Rt::lane();
      prefix own{};
      if (i < request) {
        const std::int32_t q = not_negative(kRagged ? load_q(p, i) : query_width);
        own = sums::summand(p, {not_negative(load_kv(p, i)), q});
      }
      sum = sums::add(sum, sums::template reduce<Rt>(own));
    }
    return sum;
  }

  // The request that token t of a ragged launch belongs to, in a chunk before which there are `tokens_before`.
  static NSAMETA_DEVICE std::int32_t request_of(const params& p, std::int32_t chunk, std::int32_t tokens_before,
                                                std::int32_t t) {
    std::int32_t before = tokens_before;
    std::int32_t first = chunk << p.chunk_bits;
    for (;;) {
      const std::int32_t request = first + Rt::lane();
      const std::int32_t own = request < p.batch ? not_negative(load_q(p, request)) : 0;
      const std::int32_t up_to = saturating_add(before, saturating_scan<Rt>(own));
      const int passed = Rt::count_bits_below(Rt::ballot(up_to <= t), Rt::kWarp);
      if (passed < Rt::kWarp || first + Rt::kWarp >= p.batch) return smaller(first + passed, p.batch - 1);
      before = Rt::shfl(up_to, Rt::kWarp - 1);
      first += Rt::kWarp;
    }
  }
};

}  // namespace nsameta::simt
