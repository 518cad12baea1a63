// SGLang's plan for its cluster top-k: the tokens that see more keys than a threshold. One block; up to 512 tokens.
#pragma once

#include <cstdint>

#include "backends/simt/requests.h"

namespace nsameta::simt {

template <class Rt>
struct topk_plan {
  using params = build_metadata_params;
  static constexpr std::int32_t kMaxTokens = 512;
  static constexpr std::int32_t kNumCandidates = 7;
  static constexpr std::int32_t kLeastThreshold = 32768;
  static constexpr int kMaxWarps = 1024 / Rt::kWarp;
  struct smem {
    std::int32_t visible[kMaxTokens];
    std::int32_t tokens_of_warp[kMaxWarps];
    std::int32_t above_candidate[kMaxWarps][kNumCandidates];
    std::int32_t above_of_group[kMaxTokens / Rt::kWarp];
    std::int32_t num_tokens;
  };

  struct candidate {
    std::int32_t threshold;
    std::int32_t cap;  // most tokens above it
  };

  // From the largest down; there are fewer of them on Hopper.
  static NSAMETA_DEVICE candidate candidate_at(bool is_blackwell, int i) {
    if (is_blackwell) {
      switch (i) {
        case 0: return {524288, 264};
        case 1: return {393216, 231};
        case 2: return {262144, 198};
        case 3: return {196608, 132};
        case 4: return {163840, 99};
        case 5: return {131072, 66};
        default: return {32768, 48};
      }
    }
    switch (i) {
      case 0: return {393216, 128};
      case 1: return {262144, 112};
      case 2: return {196608, 80};
      case 3: return {131072, 60};
      case 4: return {98304, 45};
      default: return {65536, 30};
    }
  }

  static NSAMETA_DEVICE void store_request(smem& s, const params& p, const request_lengths& r, std::int32_t start) {
    const std::int32_t end = smaller(r.q, kMaxTokens - smaller(start, kMaxTokens));
    NSAMETA_NO_UNROLL
    for (std::int32_t j = 0; j < end; ++j) s.visible[start + j] = formula::visible(r.kv, r.q, j, p.clamp != 0);
  }

  // Visible lengths of the first kMaxTokens tokens to shared memory. Returns T, capped at INT32_MAX.
  template <bool kRagged>
  static NSAMETA_DEVICE std::int32_t load_tokens(smem& s, const params& p, std::int32_t query_width) {
    const std::int32_t width = not_negative(query_width);
    if constexpr (!kRagged) {
      const std::int32_t end = width > 0 ? smaller(p.batch, kMaxTokens) : 0;
      for (std::int32_t r = Rt::thread_idx(); r < end; r += Rt::block_dim()) {
        store_request(s, p, {not_negative(load_kv(p, r)), width}, formula::saturate(std::int64_t{r} * width));
      }
      Rt::sync_block();
      return constant_total(p, width);
    }
    if (Rt::thread_idx() == 0) s.num_tokens = 0;
    Rt::sync_block();
    NSAMETA_NO_UNROLL
    for (std::int32_t first = 0; first < p.batch; first += Rt::block_dim()) {
      const std::int32_t r = first + Rt::thread_idx();
      request_lengths lengths{};
      if (r < p.batch) lengths = {not_negative(load_kv(p, r)), not_negative(load_q(p, r))};
      const std::int32_t up_to = saturating_scan<Rt>(lengths.q);
      if (Rt::lane() == Rt::kWarp - 1) s.tokens_of_warp[Rt::warp()] = up_to;
      Rt::sync_block();
      std::int32_t before = s.num_tokens;
      NSAMETA_NO_UNROLL
      for (int i = 0; i < Rt::warp(); ++i) before = saturating_add(before, s.tokens_of_warp[i]);
      const std::int32_t end = saturating_add(before, up_to);
      Rt::sync_block();
      if (Rt::thread_idx() == Rt::block_dim() - 1) s.num_tokens = end;
      if (r < p.batch && end - lengths.q < kMaxTokens && end < INT32_MAX) store_request(s, p, lengths, end - lengths.q);
      Rt::sync_block();
    }
    return s.num_tokens;
  }

  static NSAMETA_DEVICE int num_warps() { return Rt::block_dim() / Rt::kWarp; }

  // Lane i: how many of the tokens that this warp has see more than candidate i.
  static NSAMETA_DEVICE std::int32_t count_candidates(const smem& s, std::int32_t num_tokens, bool is_blackwell) {
    std::int32_t count = 0;
    NSAMETA_NO_UNROLL
    for (std::int32_t first = 0; first < num_tokens; first += Rt::block_dim()) {
      const std::int32_t t = first + Rt::thread_idx();
      const std::int32_t visible = t < num_tokens ? s.visible[t] : 0;
      NSAMETA_UNROLL
      for (int i = 0; i < kNumCandidates; ++i) {
        const typename Rt::mask above = Rt::ballot(visible > candidate_at(is_blackwell, i).threshold);
        if (Rt::lane() == i) count += Rt::count_bits_below(above, Rt::kWarp);
      }
    }
    return count;
  }

  // The last candidate before the first with more tokens above it than its cap. All threads of the block call.
  static NSAMETA_DEVICE std::int32_t choose_threshold(smem& s, const params& p, std::int32_t num_tokens) {
    if (p.topk_plan_threshold >= 0) return p.topk_plan_threshold;
    const bool is_blackwell = p.topk_plan_arch == NSAMETA_TOPK_PLAN_BLACKWELL;
    const int num_candidates = is_blackwell ? kNumCandidates : kNumCandidates - 1;
    const std::int32_t own = count_candidates(s, num_tokens, is_blackwell);
    const bool is_candidate = Rt::lane() < num_candidates;
    if (is_candidate) s.above_candidate[Rt::warp()][Rt::lane()] = own;
    Rt::sync_block();
    std::int32_t count = 0;
    NSAMETA_NO_UNROLL
    for (int warp = 0; is_candidate && warp < num_warps(); ++warp) count += s.above_candidate[warp][Rt::lane()];
    const auto too_many = Rt::ballot(is_candidate && count > candidate_at(is_blackwell, Rt::lane()).cap);
    const auto below_first = (too_many & (~too_many + 1U)) - 1U;  // all lanes where none has too many
    const int num_fitting = Rt::count_bits_below(below_first, num_candidates);
    const std::int32_t threshold = candidate_at(is_blackwell, num_fitting > 0 ? num_fitting - 1 : 0).threshold;
    return threshold > kLeastThreshold ? threshold : kLeastThreshold;
  }

  static NSAMETA_DEVICE void store_row(const params& p, std::int32_t row, std::int32_t first, std::int32_t second) {
    if (row >= p.plan_capacity) return;
    p.plan[2 * row] = first;
    p.plan[2 * row + 1] = second;
  }

  template <bool kRagged>
  static NSAMETA_DEVICE void run(smem& s, const params& p, std::int32_t query_width) {
    const std::int32_t num_tokens = load_tokens<kRagged>(s, p, query_width);
    if (num_tokens > kMaxTokens || num_tokens <= p.topk_plan_clusters) return;
    const std::int32_t threshold = choose_threshold(s, p, num_tokens);
    // Groups of kWarp tokens, one a warp and round.
    const int num_groups = (num_tokens + Rt::kWarp - 1) / Rt::kWarp;
    const auto is_above = [&](std::int32_t t) { return t < num_tokens && s.visible[t] > threshold; };
    NSAMETA_NO_UNROLL
    for (int group = Rt::warp(); group < num_groups; group += num_warps()) {
      const typename Rt::mask above = Rt::ballot(is_above(group * Rt::kWarp + Rt::lane()));
      if (Rt::lane() == 0) s.above_of_group[group] = Rt::count_bits_below(above, Rt::kWarp);
    }
    Rt::sync_block();
    const auto count_before = [&](int group) {
      std::int32_t count = 0;
      for (int i = 0; i < group; ++i) count += s.above_of_group[i];
      return count;
    };
    NSAMETA_NO_UNROLL
    for (int group = Rt::warp(); group < num_groups; group += num_warps()) {
      const std::int32_t t = group * Rt::kWarp + Rt::lane();
      const typename Rt::mask above = Rt::ballot(is_above(t));
      const std::int32_t row = 1 + count_before(group) + Rt::count_bits_below(above, Rt::lane());
      if (is_above(t)) store_row(p, row, t, s.visible[t]);
    }
    if (Rt::thread_idx() != 0) return;
    store_row(p, 0, threshold, count_before(num_groups));
    if (num_tokens + 1 > p.plan_capacity) {
      report_fault<Rt>(p, NSAMETA_CHECK_TOKENS_OVER_CAPACITY, -1, num_tokens);
    }
  }
};

}  // namespace nsameta::simt
