// Outputs of requests in the large kernel, and the faults that lengths and pool rows show.
#pragma once

#include <cstdint>

#include "backends/simt/lane_requests.h"
#include "backends/simt/large_work.h"
#include "backends/simt/request_chunks.h"
#include "backends/simt/slots.h"

namespace nsameta::simt {

template <class Rt, bool kRagged, bool kKeys, bool kTables, unsigned kSums>
struct large_request_outputs {
  static constexpr bool kHasSums = kSums != 0;
  using params = build_metadata_params;
  using work = large_work<Rt, kTables>;
  using requests = lane_requests<Rt, kRagged, kSums>;
  using chunks = request_chunks<Rt, kRagged, kSums>;
  using range = half_open;

  // One request, for its faults; the reads are under way while the block sums up.
  struct stored_lengths {
    std::int32_t request;
    std::int32_t kv;
    std::int32_t q;
  };

  static NSAMETA_DEVICE stored_lengths load_stored(const params& p, std::int32_t query_width, std::int32_t request) {
    if (request >= p.batch) return {request, 0, 0};
    return {request, load_kv(p, request), kRagged ? load_q(p, request) : query_width};
  }

  static NSAMETA_DEVICE stored_lengths load_own(const params& p, std::int32_t query_width) {
    return load_stored(p, query_width, work::thread(p));
  }

  // Of every request, by one thread of the launch.
  static NSAMETA_DEVICE void report_faults(const params& p, std::int32_t query_width, stored_lengths stored) {
    const std::int32_t num_threads = work::num_threads(p);
    for (;;) {
      report_lengths<Rt>(p, stored.request, stored.kv, stored.q);
      if (kTables && wants_slots(p) && stored.request < p.batch) {
        report_slots<Rt>(p, stored.request, load_pool_row(p, stored.request), not_negative(stored.kv));
      }
      if (p.batch - stored.request <= num_threads) return;
      stored = load_stored(p, query_width, stored.request + num_threads);
    }
  }

  // A chunk a warp. s: the sums of chunks, where kHasSums.
  template <class ChunkSums>
  static NSAMETA_DEVICE void write(const ChunkSums& s, const params& p, std::int32_t query_width) {
    if (p.cache_seqlens == nullptr && p.cu_seqlens_k == nullptr && p.cu_seqlens_q == nullptr) return;
    const std::int32_t num_chunks = chunks::count(p);
    NSAMETA_NO_UNROLL
    for (std::int32_t chunk = work::warp_from_last(p); chunk < num_chunks; chunk += work::num_warps(p)) {
      const range of_chunk = chunks::requests_of(p, chunk);
      prefix before{};
      if constexpr (kHasSums) before = chunks::before(s, chunk);
      std::int32_t first = of_chunk.begin;
      do {  // an empty batch too has sums to write
        const auto mine = requests::load(p, first, query_width);
        prefix before_each[kLaneRequests];
        before = mine.scan(p, before, before_each);
        write_lane(p, first, query_width, mine, before_each, before);
        first += requests::kOfWarp;
      } while (first < of_chunk.end);
    }
  }

  // before: the sums before each of the lane's requests; behind: those behind the warp's.
  static NSAMETA_DEVICE void write_lane(const params& p, std::int32_t first, std::int32_t query_width,
                                        const requests& mine, const prefix (&before)[kLaneRequests],
                                        const prefix& behind) {
    std::int32_t values[kLaneRequests];
    if (p.cache_seqlens != nullptr) {
      NSAMETA_UNROLL
      for (int i = 0; i < kLaneRequests; ++i) values[i] = mine.lengths[i].kv;
      requests::store(p, p.cache_seqlens, first, values);
    }
    if (kKeys && p.cu_seqlens_k != nullptr) {
      NSAMETA_UNROLL
      for (int i = 0; i < kLaneRequests; ++i) values[i] = before[i].keys;
      requests::store_cu(p, p.cu_seqlens_k, first, values, behind.keys);
    }
    if (p.cu_seqlens_q != nullptr) {
      const std::int32_t width = not_negative(query_width);
      NSAMETA_UNROLL
      for (int i = 0; i < kLaneRequests; ++i) {
        values[i] = kRagged ? before[i].tokens_wrapped : wrapped_product(requests::first_of_lane(first) + i, width);
      }
      requests::store_cu(p, p.cu_seqlens_q, first, values,
                         kRagged ? behind.tokens_wrapped : wrapped_product(p.batch, width));
    }
  }

  // paged_mqa_ctx_lens_2d, a cell a thread.
  static NSAMETA_DEVICE void write_context_lengths(const params& p) {
    if (p.ctx_lens == nullptr) return;
    const formula::divider columns = divide_by(p.ctx_lens_columns);
    const auto num_cells = static_cast<std::uint32_t>(p.batch) * columns.divisor;
    const auto num_threads = static_cast<std::uint32_t>(work::num_threads(p));
    for (auto cell = static_cast<std::uint32_t>(work::thread(p)); cell < num_cells; cell += num_threads) {
      const std::int32_t row = static_cast<std::int32_t>(columns.divide(cell));
      const std::int32_t column = static_cast<std::int32_t>(cell) - row * p.ctx_lens_columns;
      p.ctx_lens[row * p.ctx_lens_row_stride + column] = not_negative(load_kv(p, row));
    }
  }
};

}  // namespace nsameta::simt
