// A window: as many neighbouring requests as a block has threads, with what their tokens need in shared memory, so that
// any warp of the block finds the owners of any tokens in it.
#pragma once

#include <cstdint>

#include "backends/simt/scan.h"

namespace nsameta::simt {

// kMaxThreads: of a block.
template <class Rt, int kMaxThreads, bool kRagged, unsigned kSums>
struct request_window {
  static constexpr int kMaxWarps = kMaxThreads / Rt::kWarp;
  // Up to so many requests that begin in a tile are gone through one by one; more are searched by each lane.
  static constexpr int kFewRequests = 6;
  static_assert(kMaxWarps <= Rt::kWarp);
  using params = build_metadata_params;
  using sums = prefix_sum<kSums>;
  struct smem {
    // Of a request's first token; beyond the batch T.
    std::int32_t start[kMaxThreads];
    std::int32_t visible_base[kMaxThreads];
    std::int32_t keys[sums::kHasKeys ? kMaxThreads : 1];
    std::int32_t sparse_base[sums::kHasKeys ? kMaxThreads : 1];
    typename sums::template array<kMaxWarps> of_warp;
    prefix behind;  // sums up to the window's end
  };

  // A request a thread, from `first` on; before: the sums before it. Every thread of the block calls, and between two
  // calls there is a barrier.
  static NSAMETA_DEVICE void open(smem& s, const params& p, std::int32_t first, std::int32_t query_width,
                                  const prefix& before) {
    const std::int32_t request = first + Rt::thread_idx();
    request_lengths lengths{};
    if (request < p.batch) {
      lengths = {not_negative(load_kv(p, request)), not_negative(kRagged ? load_q(p, request) : query_width)};
    }
    const prefix own = sums::summand(p, lengths);
    prefix mine = own;
    const prefix of_warp = sums::template exclusive_scan<Rt>(prefix{}, mine);
    if (Rt::lane() == 0) s.of_warp.set(Rt::warp(), of_warp);
    Rt::sync_block();
    prefix below{};
    if (Rt::lane() < Rt::warp()) below = s.of_warp.get(Rt::lane());
    mine = sums::add(sums::add(before, sums::template reduce<Rt>(below)), mine);
    // Capped, since the owner of a token is found by comparing.
    const std::int32_t start =
        kRagged ? mine.tokens : formula::saturate(std::int64_t{smaller(request, p.batch)} * not_negative(query_width));
    const request_terms terms = make_terms(p, lengths, start, mine.keys, mine.sparse_keys);
    const int slot = Rt::thread_idx();
    s.start[slot] = start;
    s.visible_base[slot] = terms.visible_base;
    if constexpr (sums::kHasKeys) {
      s.keys[slot] = terms.keys;
      s.sparse_base[slot] = terms.sparse_base;
    }
    if (slot == Rt::block_dim() - 1) {
      s.behind = sums::add(mine, own);
      if constexpr (!kRagged) s.behind.tokens = saturating_add(start, lengths.q);
    }
    Rt::sync_block();
  }

  static NSAMETA_DEVICE request_terms terms_of(const smem& s, int slot) {
    return {s.visible_base[slot], sums::kHasKeys ? s.keys[slot] : 0, sums::kHasKeys ? s.sparse_base[slot] : 0};
  }

  // Slots of the requests that a lane's four tokens from t on belong to. The warp's tokens are those in [begin, end),
  // a tile of kWarp * 4 or less; of lanes beyond it any slot is given. leads: the start of the lane's group of kWarp
  // requests, INT32_MAX where there is none.
  struct owners {
    int slot[4];

    static NSAMETA_DEVICE owners find(const smem& s, std::int32_t leads, std::int32_t begin, std::int32_t end,
                                      std::int32_t t) {
      owners found;
      int group = Rt::count_bits_below(Rt::ballot(leads <= begin), Rt::kWarp) - 1;
      std::int32_t start = s.start[group * Rt::kWarp + Rt::lane()];
      const typename Rt::mask passed = Rt::ballot(start <= begin);
      const int first = group * Rt::kWarp + Rt::count_bits_below(passed, Rt::kWarp) - 1;
      NSAMETA_UNROLL
      for (int i = 0; i < 4; ++i) found.slot[i] = first;
      typename Rt::mask below = Rt::ballot(start < end);
      typename Rt::mask heads = below & ~passed;
      for (;;) {
        if (Rt::count_bits_below(heads, Rt::kWarp) <= kFewRequests) {
          found.pass(heads, start, group, t);
        } else {
          found.search(start, group, t);
        }
        if (below >> (Rt::kWarp - 1) == 0) return found;
        ++group;
        if (group == kMaxWarps || Rt::shfl(leads, group) >= end) return found;
        start = s.start[group * Rt::kWarp + Rt::lane()];
        heads = below = Rt::ballot(start < end);
      }
    }

   private:
    // heads: lanes whose requests begin in the tile.
    NSAMETA_DEVICE void pass(typename Rt::mask heads, std::int32_t start, int group, std::int32_t t) {
      while (heads != 0) {
        const int head = Rt::first_bit(heads);
        heads &= heads - 1;
        const std::int32_t from = Rt::shfl(start, head);
        NSAMETA_UNROLL
        for (int i = 0; i < 4; ++i) slot[i] = t + i >= from ? group * Rt::kWarp + head : slot[i];
      }
    }

    NSAMETA_DEVICE void search(std::int32_t start, int group, std::int32_t t) {
      NSAMETA_UNROLL
      for (int i = 0; i < 4; ++i) {
        int owner = 0;
        NSAMETA_UNROLL
        for (int half = Rt::kWarp / 2; half > 0; half /= 2) {
          if (Rt::shfl(start, owner + half) <= t + i) owner += half;
        }
        if (Rt::shfl(start, owner) <= t + i) slot[i] = group * Rt::kWarp + owner;
      }
    }
  };

  // See owners.
  static NSAMETA_DEVICE std::int32_t lead_of_lane(const smem& s) {
    const int num_warps = Rt::block_dim() / Rt::kWarp;
    return Rt::lane() < num_warps ? s.start[Rt::lane() * Rt::kWarp] : INT32_MAX;
  }
};

}  // namespace nsameta::simt
