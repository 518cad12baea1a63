// The paged-MQA schedule of a step: a row of it a thread. Up to kWarp requests are scanned by each warp for itself, and
// searched by shuffles; more of them, up to kMaxRequests, by the block in shared memory.
#pragma once

#include <cstdint>

#include "backends/simt/mqa_schedule.h"

namespace nsameta::simt {

template <class Rt, int kMaxRequests, bool kRagged>
struct mqa_schedule_step {
  using params = build_metadata_params;
  using rule = mqa_rule<std::uint64_t>;
  static constexpr int kMaxGroups = kMaxRequests / Rt::kWarp;
  // Where every weight is below it, 32 bits hold the sum of kMaxRequests, times fewer atoms than kMaxShortAtoms.
  static constexpr int kShortWeightBits = 32 - 8 - 6;
  static constexpr std::int32_t kMaxShortAtoms = 64;
  static constexpr std::uint32_t kTooLong = 1U << 31U;  // instead of a group's sum that 32 bits may not hold
  static_assert(kMaxRequests <= 1 << 8 && kMaxGroups % 4 == 0);

  // What is read at once.
  template <class Sum>
  struct alignas(16) four {
    Sum of[4];
  };
  // A request as a row of the schedule needs it; sums from the beginning of its group.
  template <class Sum>
  struct alignas(16) weighed_request {
    Sum weight_before;
    std::int32_t kv;
    std::int32_t q;
    std::uint32_t tokens_before;
  };
  template <class Sum>
  struct block_sums {
    weighed_request<Sum> requests[kMaxRequests];
    four<Sum> up_to[kMaxRequests / 4];          // weights of requests, from the beginning of their group
    four<Sum> up_to_fourth[kMaxRequests / 16];  // every fourth of them
    four<Sum> of_group[kMaxGroups / 4];
    std::uint32_t tokens_of_group[kRagged ? kMaxGroups : 1];
  };
  union smem {
    block_sums<std::uint32_t> in_32_bits;
    block_sums<std::uint64_t> in_64_bits;
    template <class Sum>
    NSAMETA_DEVICE block_sums<Sum>& of() {
      if constexpr (sizeof(Sum) == 4) {
        return in_32_bits;
      } else {
        return in_64_bits;
      }
    }
    template <class Sum>
    NSAMETA_DEVICE const block_sums<Sum>& of() const {
      return const_cast<smem*>(this)->of<Sum>();
    }
  };

  // ---- one warp ----

  template <class Sum>
  static NSAMETA_DEVICE void write_rows(const params& p, std::int32_t query_width, std::int32_t row,
                                        const request_lengths& lengths) {
    const auto q = static_cast<std::uint32_t>(lengths.q);
    const schedule_sums<Sum> own{static_cast<Sum>(mqa_rule<Sum>::weight(p, lengths)), q};
    const auto up_to = own.template scanned<Rt, kRagged>();
    const Sum all = shfl<Rt>(up_to.weight, Rt::kWarp - 1);
    const Sum begin = mqa_rule<Sum>::begin_of(p, static_cast<std::uint32_t>(row), all);
    const Sum target = mqa_rule<Sum>::target_of(p, begin);
    int owner = 0;
    NSAMETA_UNROLL
    for (int half = Rt::kWarp / 2; half > 0; half /= 2) {
      if (shfl<Rt>(up_to.weight, owner + half - 1) <= target) owner += half;
    }
    schedule_request<Sum> found{};
    found.lengths.kv = Rt::shfl(lengths.kv, owner);
    found.lengths.q = kRagged ? Rt::shfl(lengths.q, owner) : lengths.q;
    found.request = owner;
    found.first_token = kRagged ? shfl<Rt>(up_to.tokens - own.tokens, owner) : static_cast<std::uint32_t>(owner) * q;
    found.weight_before = shfl<Rt>(static_cast<Sum>(up_to.weight - own.weight), owner);
    const std::uint32_t num_tokens =
        kRagged ? shfl<Rt>(up_to.tokens, Rt::kWarp - 1)
                : static_cast<std::uint32_t>(p.batch) * static_cast<std::uint32_t>(not_negative(query_width));
    if (row > static_cast<std::int32_t>(p.num_sms.divisor)) return;
    if (target >= all) return mqa_rule<Sum>::write_end(p, static_cast<std::uint32_t>(row), num_tokens);
    mqa_rule<Sum>::write_row(p, static_cast<std::uint32_t>(row), begin, found);
  }

  // Whether 32 bits hold all sums.
  static NSAMETA_DEVICE bool is_short(const params& p, const request_lengths& lengths) {
    const std::uint64_t most = rule::segments(lengths.kv) * static_cast<std::uint32_t>(lengths.q > 0 ? lengths.q : 1);
    return most >> kShortWeightBits == 0 && p.mqa_atoms < kMaxShortAtoms;
  }

  // Every launch with short sums writes them at once, and with long ones again: waiting for the vote would take longer.
  static NSAMETA_DEVICE void run_warp(const params& p, std::int32_t query_width, std::int32_t row) {
    request_lengths lengths{0, kRagged ? 0 : not_negative(query_width)};
    if (Rt::lane() < p.batch) lengths = load_schedule_lengths<kRagged>(p, Rt::lane(), query_width);
    const bool has_long = Rt::any(!is_short(p, lengths));
    write_rows<std::uint32_t>(p, query_width, row, lengths);
    if (has_long) write_rows<std::uint64_t>(p, query_width, row, lengths);
  }

  // ---- one request ----

  template <class Sum>
  static NSAMETA_DEVICE void write_row_of_one(const params& p, std::int32_t row, const request_lengths& lengths) {
    using rule_of_sum = mqa_rule<Sum>;
    const auto number = static_cast<std::uint32_t>(row);
    const Sum all = rule_of_sum::weight(p, lengths);
    const Sum begin = rule_of_sum::begin_of(p, number, all);
    if (rule_of_sum::target_of(p, begin) >= all) {
      return rule_of_sum::write_end(p, number, static_cast<std::uint32_t>(lengths.q));
    }
    rule_of_sum::write_row(p, number, begin, {lengths, 0, 0, 0});
  }

  static NSAMETA_DEVICE void run_one(const params& p, std::int32_t query_width, std::int32_t row) {
    if (row > static_cast<std::int32_t>(p.num_sms.divisor)) return;
    const request_lengths lengths = load_schedule_lengths<kRagged>(p, 0, query_width);
    if (is_short(p, lengths)) {
      write_row_of_one<std::uint32_t>(p, row, lengths);
    } else {
      write_row_of_one<std::uint64_t>(p, row, lengths);
    }
  }

  // ---- one block ----

  // A request a thread: sums within groups of kWarp requests, one a warp.
  template <class Sum>
  static NSAMETA_DEVICE void scan_groups(smem& s, const params& p, std::int32_t query_width) {
    auto& sums = s.template of<Sum>();
    const std::int32_t request = Rt::thread_idx();
    request_lengths lengths{0, 0};
    if (request < p.batch) lengths = load_schedule_lengths<kRagged>(p, request, query_width);
    const bool has_long = Rt::any(!is_short(p, lengths));
    const schedule_sums<Sum> own{request < p.batch ? mqa_rule<Sum>::weight(p, lengths) : Sum{0},
                                 static_cast<std::uint32_t>(lengths.q)};
    const auto up_to = own.template scanned<Rt, kRagged>();
    sums.up_to[request / 4].of[request % 4] = up_to.weight;
    if (request % 4 == 3) sums.up_to_fourth[request / 16].of[request / 4 % 4] = up_to.weight;
    sums.requests[request] = {up_to.weight - own.weight, lengths.kv, lengths.q, up_to.tokens - own.tokens};
    if (Rt::lane() != Rt::kWarp - 1) return;
    NSAMETA_NO_UNROLL
    for (int group = Rt::warp(); group < kMaxGroups; group += Rt::block_dim() / Rt::kWarp) {
      const bool is_own = group == Rt::warp();
      const Sum weight = is_own ? up_to.weight : 0;
      sums.of_group[group / 4].of[group % 4] = sizeof(Sum) == 4 && has_long ? static_cast<Sum>(kTooLong) : weight;
      if constexpr (kRagged) sums.tokens_of_group[group] = is_own ? up_to.tokens : 0;
    }
  }

  // How many of the sums, which ascend, are at most `target`.
  template <int kNumFours, class Sum>
  static NSAMETA_DEVICE std::int32_t count_up_to(const four<Sum>* sums, Sum target) {
    std::int32_t count = 0;
    NSAMETA_UNROLL
    for (int i = 0; i < kNumFours; ++i) {
      const four<Sum> some = sums[i];
      NSAMETA_UNROLL
      for (int k = 0; k < 4; ++k) count += some.of[k] <= target ? 1 : 0;
    }
    return count;
  }

  // Whether the 32-bit sums are right.
  static NSAMETA_DEVICE bool has_short_sums(const smem& s) {
    std::uint32_t all = 0;
    NSAMETA_UNROLL
    for (int group = 0; group < kMaxGroups; ++group) {
      all |= s.template of<std::uint32_t>().of_group[group / 4].of[group % 4];
    }
    return (all & kTooLong) == 0;
  }

  // Three steps, each of which compares sums that are read at once: groups, every fourth request, four requests.
  template <class Sum>
  static NSAMETA_DEVICE void write_row_of_block(const smem& s, const params& p, std::int32_t query_width,
                                                std::int32_t row) {
    const auto& sums = s.template of<Sum>();
    if (row > static_cast<std::int32_t>(p.num_sms.divisor)) return;
    Sum up_to_group[kMaxGroups];
    Sum all = 0;
    std::uint32_t num_tokens = 0;
    NSAMETA_UNROLL
    for (int group = 0; group < kMaxGroups; ++group) {
      all += sums.of_group[group / 4].of[group % 4];
      up_to_group[group] = all;
      if constexpr (kRagged) num_tokens += sums.tokens_of_group[group];
    }
    if constexpr (!kRagged) {
      num_tokens = static_cast<std::uint32_t>(p.batch) * static_cast<std::uint32_t>(not_negative(query_width));
    }
    const auto number = static_cast<std::uint32_t>(row);
    const Sum begin = mqa_rule<Sum>::begin_of(p, number, all);
    const Sum target = mqa_rule<Sum>::target_of(p, begin);
    if (target >= all) return mqa_rule<Sum>::write_end(p, number, num_tokens);
    std::int32_t group = 0;
    Sum before = 0;
    std::uint32_t tokens_before = 0;
    NSAMETA_UNROLL
    for (int g = 0; g < kMaxGroups - 1; ++g) {
      const bool is_before = up_to_group[g] <= target;
      group += is_before ? 1 : 0;
      before += is_before ? sums.of_group[g / 4].of[g % 4] : 0;
      if constexpr (kRagged) tokens_before += is_before ? sums.tokens_of_group[g] : 0;
    }
    const Sum in_group = target - before;
    constexpr std::int32_t kFours = Rt::kWarp / 16;  // of a group, every fourth request
    const std::int32_t fourth = group * kFours * 4 + count_up_to<kFours>(sums.up_to_fourth + group * kFours, in_group);
    const std::int32_t i = fourth * 4 + count_up_to<1>(sums.up_to + fourth, in_group);
    const weighed_request<Sum> found = sums.requests[i];
    const std::uint32_t first_token = kRagged ? tokens_before + found.tokens_before
                                              : static_cast<std::uint32_t>(i) * static_cast<std::uint32_t>(found.q);
    mqa_rule<Sum>::write_row(p, number, begin, {{found.kv, found.q}, i, first_token, before + found.weight_before});
  }

  static NSAMETA_DEVICE void run_block(smem& s, const params& p, std::int32_t query_width, std::int32_t row) {
    scan_groups<std::uint32_t>(s, p, query_width);
    Rt::sync_block();
    if (has_short_sums(s)) return write_row_of_block<std::uint32_t>(s, p, query_width, row);
    Rt::sync_block();
    scan_groups<std::uint64_t>(s, p, query_width);
    Rt::sync_block();
    write_row_of_block<std::uint64_t>(s, p, query_width, row);
  }

  // `part` says which block of the schedule it is.
  static NSAMETA_DEVICE void run(smem& s, const params& p, std::int32_t query_width, std::int32_t part) {
    const std::int32_t row = part * Rt::block_dim() + Rt::thread_idx();
    if (p.batch == 1) {
      run_one(p, query_width, row);
    } else if (p.batch <= Rt::kWarp) {
      run_warp(p, query_width, row);
    } else {
      run_block(s, p, query_width, row);
    }
  }
};

}  // namespace nsameta::simt
