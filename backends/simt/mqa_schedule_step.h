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
  using sums = schedule_sums<std::uint64_t>;
  static constexpr int kMaxGroups = kMaxRequests / Rt::kWarp;
  // Where every weight is below it, 32 bits hold their sum, times fewer atoms than kMaxShortAtoms.
  static constexpr int kShortWeightBits = 32 - 2 * 6;
  static constexpr std::int32_t kMaxShortAtoms = 64;
  struct smem {
    std::uint64_t weight_before[kMaxRequests + 1];
    std::uint32_t first_token[kRagged ? kMaxRequests + 1 : 1];
    request_lengths lengths[kMaxRequests];
    sums of_group[kMaxGroups];
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

  // Groups of kWarp requests, one a warp and round.
  static NSAMETA_DEVICE void scan(smem& s, const params& p, std::int32_t query_width) {
    const int num_groups = (p.batch + Rt::kWarp - 1) / Rt::kWarp;
    NSAMETA_NO_UNROLL
    for (int group = Rt::warp(); group < num_groups; group += Rt::block_dim() / Rt::kWarp) {
      const std::int32_t request = group * Rt::kWarp + Rt::lane();
      const bool exists = request < p.batch;
      sums own{};
      if (exists) {
        const request_lengths lengths = load_schedule_lengths<kRagged>(p, request, query_width);
        s.lengths[request] = lengths;
        own = {rule::weight(p, lengths), static_cast<std::uint32_t>(lengths.q)};
      }
      const sums up_to = own.template scanned<Rt, kRagged>();
      if (exists) {
        s.weight_before[request + 1] = up_to.weight;
        if constexpr (kRagged) s.first_token[request + 1] = up_to.tokens;
      }
      if (Rt::lane() == Rt::kWarp - 1) s.of_group[group] = up_to;
    }
    Rt::sync_block();
    if (Rt::thread_idx() == 0) {
      s.weight_before[0] = 0;
      if constexpr (kRagged) s.first_token[0] = 0;
    }
    NSAMETA_NO_UNROLL
    for (std::int32_t request = Rt::thread_idx(); request < p.batch; request += Rt::block_dim()) {
      sums before{};
      NSAMETA_UNROLL
      for (int i = 0; i < kMaxGroups - 1; ++i) {
        if (i < request / Rt::kWarp) before = before.plus(s.of_group[i]);
      }
      s.weight_before[request + 1] += before.weight;
      if constexpr (kRagged) s.first_token[request + 1] += before.tokens;
    }
    Rt::sync_block();
  }

  static NSAMETA_DEVICE void run_block(smem& s, const params& p, std::int32_t query_width, std::int32_t row) {
    scan(s, p, query_width);
    if (row > static_cast<std::int32_t>(p.num_sms.divisor)) return;
    const auto number = static_cast<std::uint32_t>(row);
    const auto width = static_cast<std::uint32_t>(not_negative(query_width));
    const std::uint64_t begin = rule::begin_of(p, number, s.weight_before[p.batch]);
    const std::uint64_t target = rule::target_of(p, begin);
    std::int32_t i = 0;
    NSAMETA_NO_UNROLL
    for (int step = kMaxRequests; step > 0; step /= 2) {
      if (i + step <= p.batch && s.weight_before[i + step] <= target) i += step;
    }
    if (i >= p.batch) {
      return rule::write_end(p, number, kRagged ? s.first_token[p.batch] : static_cast<std::uint32_t>(p.batch) * width);
    }
    const std::uint32_t first_token = kRagged ? s.first_token[i] : static_cast<std::uint32_t>(i) * width;
    rule::write_row(p, number, begin, {s.lengths[i], i, first_token, s.weight_before[i]});
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
