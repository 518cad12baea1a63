// Sums over the requests of a batch of any size: requests are divided into at most kMaxChunks chunks, and each block
// sums up all of them by itself.
#pragma once

#include <cstdint>

#include "backends/simt/build_metadata_policy.h"
#include "backends/simt/segment.h"

namespace nsameta::simt {

struct half_open {
  std::int32_t begin;
  std::int32_t end;
};

// What a launch without prefixes has of the sums.
struct chunk_total {
  prefix before_chunk[1];
  prefix total;
};

template <class Rt, int kItems, bool kRagged, bool kKeys, bool kExactKeys>
struct request_chunks {
  static constexpr int kAhead = 4;  // chunks that a warp has under way
  using params = build_metadata_params;
  using sums = prefix_sum<kRagged, kKeys, kExactKeys>;
  using seg = segment<Rt, kItems, kRagged, kKeys, kExactKeys>;
  struct smem {
    prefix before_chunk[kMaxChunks];
    prefix total;
  };

  // Of this block.
  static NSAMETA_DEVICE std::int32_t num_warps() { return Rt::block_dim() / Rt::kWarp; }

  static NSAMETA_DEVICE std::int32_t count(const params& p) {
    return p.batch > 0 ? (p.batch - 1) / p.requests_per_chunk + 1 : 1;
  }

  static NSAMETA_DEVICE half_open requests_of(const params& p, std::int32_t chunk) {
    const std::int32_t begin = chunk * p.requests_per_chunk;
    return {begin, p.batch - begin > p.requests_per_chunk ? begin + p.requests_per_chunk : p.batch};
  }

  // Sum of each chunk to before_chunk, a warp a chunk.
  static NSAMETA_DEVICE void sum(smem& s, const params& p, std::int32_t query_width) {
    const std::int32_t chunks = count(p);
    NSAMETA_NO_UNROLL
    for (std::int32_t begin = Rt::warp(); begin < chunks; begin += num_warps() * kAhead) {
      prefix partial[kAhead] = {};
      NSAMETA_NO_UNROLL
      for (std::int32_t offset = 0; offset < p.requests_per_chunk; offset += seg::kRequests) {
        request_lengths lengths[kAhead][kItems];
        NSAMETA_UNROLL
        for (int k = 0; k < kAhead; ++k) {
          const std::int32_t chunk = begin + k * num_warps();
          const std::int32_t first = chunk < chunks ? chunk * p.requests_per_chunk + offset : p.batch;
          seg::load(p, first, query_width, false, lengths[k]);
        }
        NSAMETA_UNROLL
        for (int k = 0; k < kAhead; ++k) partial[k] = sums::add(partial[k], seg::sum_of_lane(p, lengths[k]));
      }
      NSAMETA_UNROLL
      for (int k = 0; k < kAhead; ++k) {
        const std::int32_t chunk = begin + k * num_warps();
        const prefix all = sums::template reduce<Rt>(partial[k]);
        if (Rt::lane() == 0 && chunk < chunks) s.before_chunk[chunk] = all;
      }
    }
  }

  // Turns the sums into the sums before each chunk. Called by one warp.
  static NSAMETA_DEVICE void scan(smem& s, const params& p) {
    const std::int32_t chunks = count(p);
    const std::int32_t chunks_of_lane = (chunks + Rt::kWarp - 1) / Rt::kWarp;
    const std::int32_t first = Rt::lane() * chunks_of_lane;
    const std::int32_t end = smaller(first + chunks_of_lane, chunks);
    prefix before{};
    NSAMETA_NO_UNROLL
    for (std::int32_t i = first; i < end; ++i) before = sums::add(before, s.before_chunk[i]);
    const prefix all = sums::template exclusive_scan<Rt>(prefix{}, before);
    if (Rt::lane() == 0) s.total = all;
    NSAMETA_NO_UNROLL
    for (std::int32_t i = first; i < end; ++i) {
      const prefix mine = s.before_chunk[i];
      s.before_chunk[i] = before;
      before = sums::add(before, mine);
    }
  }

  // Sums over the requests before one. Called by a warp.
  static NSAMETA_DEVICE prefix sums_before(const smem& s, const params& p, std::int32_t query_width,
                                           std::int32_t request) {
    const std::int32_t chunk = request / p.requests_per_chunk;
    prefix before = s.before_chunk[chunk];
    NSAMETA_NO_UNROLL
    for (std::int32_t first = chunk * p.requests_per_chunk; first < request; first += Rt::kWarp) {
      const std::int32_t i = first + Rt::lane();
      prefix own{};
      if (i < request) {
        const std::int32_t q = not_negative(kRagged ? load_q(p, i) : query_width);
        own = summand<kRagged, kKeys>(p, {not_negative(load_kv(p, i)), q});
      }
      before = sums::add(before, sums::template reduce<Rt>(own));
    }
    return before;
  }
};

}  // namespace nsameta::simt
