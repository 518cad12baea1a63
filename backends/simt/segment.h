// A segment: kWarp * kItems neighbouring requests that one warp holds, kItems a lane. What their tokens need lies in
// shared memory, so that any lane finds the owner of any token in it.
#pragma once

#include <cstdint>

#include "backends/simt/scan.h"

namespace nsameta::simt {

// `count` elements from `first` on, 0 beyond the batch.
template <class Rt, int kCount>
NSAMETA_DEVICE void load_strided(const strided_lengths& from, std::int32_t first, std::int32_t batch,
                                 std::int32_t (&values)[kCount]) {
  if constexpr (kCount == 2) {
    const auto* const address = reinterpret_cast<const std::int32_t*>(from.data) + first;
    if (from.stride_bytes == 4 && batch - first >= kCount && Rt::is_aligned8(address)) {
      Rt::load64(address, values);
      return;
    }
  }
  NSAMETA_UNROLL
  for (int i = 0; i < kCount; ++i) values[i] = i < batch - first ? load_length(from, first + i) : 0;
}

template <class Rt, int kItems, bool kRagged, bool kKeys, bool kExactKeys = false>
struct segment {
  static constexpr int kRequests = Rt::kWarp * kItems;
  using sums = prefix_sum<kRagged, kKeys, kExactKeys>;

  // One a warp.
  struct smem {
    std::int32_t start[kRequests];
    std::int32_t visible_base[kRequests];
    std::int32_t keys[kKeys ? kRequests : 1];
    std::int32_t sparse_base[kKeys ? kRequests : 1];
  };

  // This lane's requests, and the sums before each.
  struct lane_items {
    request_lengths lengths[kItems];
    prefix before[kItems];
  };

  static NSAMETA_DEVICE std::int32_t first_of_lane(std::int32_t first_request) {
    return first_request + Rt::lane() * kItems;
  }

  // is_reporter: tells the host of negative lengths.
  static NSAMETA_DEVICE void load(const build_metadata_params& p, std::int32_t first_request, std::int32_t query_width,
                                  bool is_reporter, request_lengths (&lengths)[kItems]) {
    const std::int32_t first = first_of_lane(first_request);
    std::int32_t seq[kItems];
    std::int32_t query[kItems];
    load_strided<Rt>(p.seq_lens, first, p.batch, seq);
    if constexpr (kRagged) load_strided<Rt>(p.query_lens, first, p.batch, query);
    NSAMETA_UNROLL
    for (int i = 0; i < kItems; ++i) {
      const bool exists = i < p.batch - first;
      const std::int32_t kv = exists ? formula::wrap_add(seq[i], p.kv_offset) : 0;
      const std::int32_t q = !exists ? 0 : kRagged ? query[i] : query_width;
      if (is_reporter) report_lengths<Rt>(p, first + i, kv, q);
      lengths[i] = {not_negative(kv), not_negative(q)};
    }
  }

  static NSAMETA_DEVICE prefix sum_of_lane(const build_metadata_params& p, const request_lengths (&lengths)[kItems]) {
    prefix sum = summand<kRagged, kKeys>(p, lengths[0]);
    NSAMETA_UNROLL
    for (int i = 1; i < kItems; ++i) sum = sums::add(sum, summand<kRagged, kKeys>(p, lengths[i]));
    return sum;
  }

  // Sums before this lane's requests, given those before the segment. Returns those behind it.
  static NSAMETA_DEVICE prefix scan(const build_metadata_params& p, const prefix& base, lane_items& items) {
    prefix before = sum_of_lane(p, items.lengths);
    const prefix after = sums::template exclusive_scan<Rt>(base, before);
    NSAMETA_UNROLL
    for (int i = 0; i < kItems; ++i) {
      items.before[i] = before;
      before = sums::add(before, summand<kRagged, kKeys>(p, items.lengths[i]));
    }
    return after;
  }

  // Puts the segment into shared memory, with a warp barrier on either side.
  static NSAMETA_DEVICE void publish(const build_metadata_params& p, std::int32_t first_request,
                                     std::int32_t query_width, const lane_items& items, smem& s) {
    Rt::sync_warp();
    NSAMETA_UNROLL
    for (int i = 0; i < kItems; ++i) {
      const int slot = Rt::lane() * kItems + i;
      // Capped, since the owner of a token is found by comparing.
      const std::int32_t start =
          kRagged ? items.before[i].tokens
                  : formula::saturate(std::int64_t{first_request + slot} * not_negative(query_width));
      const request_terms terms =
          make_terms(p, items.lengths[i], start, items.before[i].keys, items.before[i].sparse_keys);
      s.start[slot] = start;
      s.visible_base[slot] = terms.visible_base;
      if constexpr (kKeys) {
        s.keys[slot] = terms.keys;
        s.sparse_base[slot] = terms.sparse_base;
      }
    }
    Rt::sync_warp();
  }

  // Slot of the request that token t of the segment belongs to: the last whose start is not above t. Requests beyond
  // the batch start at T, so a token never meets them.
  static NSAMETA_DEVICE int find_owner(const smem& s, std::int32_t t) {
    int slot = 0;
    NSAMETA_UNROLL
    for (int step = kRequests / 2; step > 0; step /= 2) {
      if (s.start[slot + step] <= t) slot += step;
    }
    return slot;
  }

  // Token behind the last of a slot's request, given that of the segment.
  static NSAMETA_DEVICE std::int32_t end_of(const smem& s, int slot, std::int32_t segment_end) {
    return slot + 1 < kRequests ? s.start[slot + 1] : segment_end;
  }

  static NSAMETA_DEVICE request_terms terms_of(const smem& s, int slot) {
    return {s.visible_base[slot], kKeys ? s.keys[slot] : 0, kKeys ? s.sparse_base[slot] : 0};
  }

  // values[i] to output[first + i] below the batch, and `total` behind the last.
  static NSAMETA_DEVICE void store_cu(const build_metadata_params& p, std::int32_t* output, std::int32_t first_request,
                                      const std::int32_t (&values)[kItems], std::int32_t total) {
    store(p, output, first_request, values);
    if (Rt::lane() == 0 && p.batch - first_request <= kRequests) output[p.batch] = total;
  }

  static NSAMETA_DEVICE void store(const build_metadata_params& p, std::int32_t* output, std::int32_t first_request,
                                   const std::int32_t (&values)[kItems]) {
    const std::int32_t first = first_of_lane(first_request);
    NSAMETA_UNROLL
    for (int i = 0; i < kItems; ++i) {
      if (i < p.batch - first) output[first + i] = values[i];
    }
  }
};

}  // namespace nsameta::simt
