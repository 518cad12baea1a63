// kItems neighbouring requests a lane: how a warp of the large kernel reads and writes many of them at a time.
#pragma once

#include <cstdint>

#include "backends/simt/build_metadata_policy.h"
#include "backends/simt/scan.h"

namespace nsameta::simt {

template <class Rt, bool kRagged, unsigned kSums>
struct lane_requests {
  static constexpr int kItems = kLaneRequests;
  static constexpr int kOfWarp = Rt::kWarp * kItems;
  using params = build_metadata_params;
  using sums = prefix_sum<kSums>;

  request_lengths lengths[kItems];

  static NSAMETA_DEVICE std::int32_t first_of_lane(std::int32_t first_of_warp) {
    return first_of_warp + Rt::lane() * kItems;
  }

  static NSAMETA_DEVICE bool is_packed(const strided_lengths& from) {
    return from.stride_bytes == 4 && Rt::is_aligned16(from.data);
  }

  // Whether the vectors that the sums need can be read 16 bytes at a time.
  static NSAMETA_DEVICE bool are_packed(const params& p) {
    return (!sums::kHasKeys || is_packed(p.seq_lens)) && (!kRagged || is_packed(p.query_lens));
  }

  // Of the warp's requests from first_of_warp on; beyond the batch both lengths are 0.
  static NSAMETA_DEVICE lane_requests load(const params& p, std::int32_t first_of_warp, std::int32_t query_width) {
    const std::int32_t first = first_of_lane(first_of_warp);
    lane_requests requests;
    NSAMETA_UNROLL
    for (int i = 0; i < kItems; ++i) {
      const bool exists = i < p.batch - first;
      const std::int32_t q = !exists ? 0 : kRagged ? load_q(p, first + i) : query_width;
      requests.lengths[i] = {exists ? not_negative(load_kv(p, first + i)) : 0, not_negative(q)};
    }
    return requests;
  }

  NSAMETA_DEVICE prefix sum(const params& p) const {
    prefix all = sums::summand(p, lengths[0]);
    NSAMETA_UNROLL
    for (int i = 1; i < kItems; ++i) all = sums::add(all, sums::summand(p, lengths[i]));
    return all;
  }

  // Sums before each of the lane's requests, given those before the warp's. Returns those behind the warp's.
  NSAMETA_DEVICE prefix scan(const params& p, const prefix& base, prefix (&before)[kItems]) const {
    before[0] = sum(p);
    const prefix behind = sums::template exclusive_scan<Rt>(base, before[0]);
    NSAMETA_UNROLL
    for (int i = 1; i < kItems; ++i) before[i] = sums::add(before[i - 1], sums::summand(p, lengths[i - 1]));
    return behind;
  }

  // values[i] to output[first + i] below the batch.
  static NSAMETA_DEVICE void store(const params& p, std::int32_t* output, std::int32_t first_of_warp,
                                   const std::int32_t (&values)[kItems]) {
    const std::int32_t first = first_of_lane(first_of_warp);
    NSAMETA_UNROLL
    for (int i = 0; i < kItems; ++i) {
      if (i < p.batch - first) output[first + i] = values[i];
    }
  }

  // The same, and behind the last of the batch what all of them add up to.
  static NSAMETA_DEVICE void store_cu(const params& p, std::int32_t* output, std::int32_t first_of_warp,
                                      const std::int32_t (&values)[kItems], std::int32_t total) {
    store(p, output, first_of_warp, values);
    if (Rt::lane() == 0 && p.batch - first_of_warp <= kOfWarp) output[p.batch] = total;
  }
};

}  // namespace nsameta::simt
