// build_metadata for up to kMaxGroupRequests requests. A group is kWarp neighbouring requests, one a lane, and each
// block has a warp for every group, with one barrier for the sums over the groups before. No block waits for another.
// The first kNumRoles blocks write per-request outputs. The others write tokens: num_slices blocks share the tokens for
// the outputs that need no sum of keys, as many for those that need one, as many for nsa_cu_seqlens_k, so that no warp
// computes what its outputs do not need.
#pragma once

#include <cstdint>

#include "backends/simt/build_metadata_policy.h"
#include "backends/simt/request_totals.h"
#include "backends/simt/token_outputs.h"

namespace nsameta::simt {

// kGroups: a power of two, at least 1 << group_bits. kSeedOnly: params pass is_seed_only.
template <class Rt, int kGroups, bool kRagged, bool kKeys, bool kSeedOnly>
struct build_metadata_small {
  static constexpr int kBlock = Rt::kWarp * kGroups;
  // Requests up to this long are written one a lane, step by step; longer ones by whole warps.
  static constexpr std::int32_t kShortQuery = 16;
  using params = build_metadata_params;
  static_assert(kGroups <= Rt::kWarp);
  enum sum_kind : int { TOKEN_SUM, KEY_SUM, SPARSE_KEY_SUM, kNumSumKinds };
  // Sums over the requests of each group, 0 where there is none.
  struct smem {
    std::int32_t of_group[kNumSumKinds][kGroups];
  };
  template <unsigned kOutputs>
  using totals = request_totals<Rt, kRagged, kOutputs>;

  // ---- sums over groups ----

  static NSAMETA_DEVICE std::int32_t group() { return kGroups == 1 ? 0 : Rt::warp(); }

  // `sum`: over this warp's requests.
  static NSAMETA_DEVICE void put(smem& s, sum_kind kind, std::int32_t sum) {
    const int num_groups = Rt::block_dim() / Rt::kWarp;
    const int of_lane = Rt::warp() + Rt::lane() * num_groups;
    if (of_lane < kGroups) s.of_group[kind][of_lane] = Rt::lane() == 0 ? sum : 0;
  }

  static NSAMETA_DEVICE std::int32_t sum_of_lane(const smem& s, sum_kind kind) {
    return Rt::lane() < kGroups ? s.of_group[kind][Rt::lane()] : 0;
  }

  // Over the groups before this warp's, modulo 2^32.
  static NSAMETA_DEVICE std::int32_t below(const smem& s, sum_kind kind) {
    const std::int32_t sum = sum_of_lane(s, kind);
    return Rt::reduce_add(Rt::lane() < Rt::warp() ? sum : 0);
  }

  template <unsigned kOutputs>
  static NSAMETA_DEVICE void share(smem& s, const totals<kOutputs>& of_warp) {
    if constexpr (kGroups > 1 && totals<kOutputs>::kHasAny) {
      if constexpr (kRagged) put(s, TOKEN_SUM, of_warp.tokens);
      if constexpr (totals<kOutputs>::kHasKeys) put(s, KEY_SUM, of_warp.keys);
      if constexpr (totals<kOutputs>::kHasSparse) put(s, SPARSE_KEY_SUM, of_warp.sparse_keys);
      Rt::sync_block();
    }
  }

  // Over the batch, where there are several groups.
  template <unsigned kOutputs>
  static NSAMETA_DEVICE totals<kOutputs> sums_of_all(const smem& s) {
    return {kRagged ? Rt::reduce_add(sum_of_lane(s, TOKEN_SUM)) : 0,
            totals<kOutputs>::kHasKeys ? Rt::reduce_add(sum_of_lane(s, KEY_SUM)) : 0,
            totals<kOutputs>::kHasSparse ? Rt::reduce_add(sum_of_lane(s, SPARSE_KEY_SUM)) : 0};
  }

  template <unsigned kOutputs>
  static NSAMETA_DEVICE totals<kOutputs> sums_below(const smem& s) {
    return {kRagged ? below(s, TOKEN_SUM) : 0, totals<kOutputs>::kHasKeys ? below(s, KEY_SUM) : 0,
            totals<kOutputs>::kHasSparse ? below(s, SPARSE_KEY_SUM) : 0};
  }

  // T up to kMaxSmallQuery a request.
  template <unsigned kOutputs>
  static NSAMETA_DEVICE std::int32_t num_tokens_of(const params& p, const totals<kOutputs>& all,
                                                   std::int32_t query_width) {
    return kRagged ? all.tokens : p.batch * smaller(not_negative(query_width), kMaxSmallQuery);
  }

  // A lane's request and the sums before it.
  template <unsigned kOutputs>
  struct group_view {
    request_lengths lengths;
    std::int32_t request;
    totals<kOutputs> before;
    std::int32_t group_start;  // tokens
    std::int32_t group_end;

    // Every thread of the block calls.
    static NSAMETA_DEVICE group_view make(smem& s, const params& p, std::int32_t query_width) {
      group_view view{};
      view.request = Rt::thread_idx();
      view.lengths = load_lengths_if<kRagged>(p, view.request, query_width, view.request < p.batch);
      const auto own = totals<kOutputs>::of(p, view.lengths);
      auto up_to = own.scanned();
      if constexpr (kGroups > 1) {
        share<kOutputs>(s, up_to.of_last_lane());
        const auto base = sums_below<kOutputs>(s);
        view.group_start = base.tokens;
        up_to = base.plus(up_to);
      }
      view.before = up_to.minus(own);
      if constexpr (kRagged) {
        view.group_end = Rt::shfl(up_to.tokens, Rt::kWarp - 1);
      } else {
        const std::int32_t width = smaller(not_negative(query_width), kMaxSmallQuery);
        view.before.tokens = view.request * width;
        view.group_start = group() * Rt::kWarp * width;
        view.group_end = smaller(p.batch, (group() + 1) * Rt::kWarp) * width;
      }
      return view;
    }

    NSAMETA_DEVICE request_terms terms(const params& p) const {
      request_terms terms = make_terms(p, lengths, before.tokens, before.keys, before.sparse_keys);
      if constexpr (!totals<kOutputs>::kHasSparse) terms.sparse_base = 0;
      return terms;
    }
  };

  // Short requests: each lane writes its own, token by token.
  template <unsigned kOutputs>
  static NSAMETA_DEVICE void write_by_lane(const params& p, const group_view<kOutputs>& view, std::int32_t slice) {
    const request_terms terms = view.terms(p);
    NSAMETA_NO_UNROLL
    for (std::int32_t j = slice; j < view.lengths.q; j += p.num_slices) {
      const std::int32_t t = view.before.tokens + j;
      store_token<kOutputs>(p, t, token_values::make<kOutputs>(p, t, view.request, terms));
    }
  }

  template <unsigned kOutputs>
  static NSAMETA_DEVICE request_terms terms_of_lane(const request_terms& terms, int lane) {
    return {Rt::shfl(terms.visible_base, lane), totals<kOutputs>::kHasKeys ? Rt::shfl(terms.keys, lane) : 0,
            totals<kOutputs>::kHasSparse ? Rt::shfl(terms.sparse_base, lane) : 0};
  }

  // Any requests: neighbouring lanes take neighbouring tokens, and find the owner in the lanes that hold the requests.
  template <unsigned kOutputs>
  static NSAMETA_DEVICE void write_by_warp(const params& p, const group_view<kOutputs>& view, std::int32_t slice) {
    const request_terms terms = view.terms(p);
    const std::int32_t end = smaller(view.group_end, p.max_token_capacity);
    const std::int32_t step = p.num_slices * Rt::kWarp;
    NSAMETA_NO_UNROLL
    for (std::int32_t first = view.group_start + slice * Rt::kWarp; first < end; first += step) {
      const std::int32_t t = first + Rt::lane();
      int owner = 0;
      NSAMETA_UNROLL
      for (int half = Rt::kWarp / 2; half > 0; half /= 2) {
        if (Rt::shfl(view.before.tokens, owner + half) <= t) owner += half;
      }
      const request_terms found = terms_of_lane<kOutputs>(terms, owner);
      const std::int32_t request = view.request - Rt::lane() + owner;
      if (t < end) store_token<kOutputs>(p, t, token_values::make<kOutputs>(p, t, request, found));
    }
  }

  // The group that holds the last token fills what lies behind it.
  template <unsigned kOutputs>
  static NSAMETA_DEVICE void write_tail(const smem& s, const params& p, const group_view<kOutputs>& view,
                                        std::int32_t query_width, std::int32_t slice) {
    const auto all =
        kGroups > 1 ? sums_of_all<kOutputs>(s) : view.before.plus(totals<kOutputs>::of(p, view.lengths)).of_last_lane();
    const std::int32_t num_tokens = num_tokens_of(p, all, query_width);
    if (view.group_start >= num_tokens || view.group_end != num_tokens) return;
    const int owner = Rt::last_bit(Rt::ballot(view.lengths.q > 0));
    const request_terms found = terms_of_lane<kOutputs>(view.terms(p), owner);
    const std::int32_t request = view.request - Rt::lane() + owner;
    token_values last = token_values::make<kOutputs>(p, num_tokens - 1, request, found);
    last.of[SPARSE_CU] = all.sparse_keys;
    store_tail<kOutputs>(p, num_tokens, last, slice * Rt::kWarp + Rt::lane(), p.num_slices * Rt::kWarp);
  }

  template <unsigned kOutputs>
  static NSAMETA_DEVICE void write_tokens(smem& s, const params& p, std::int32_t query_width, std::int32_t slice) {
    const auto view = group_view<kOutputs>::make(s, p, query_width);
    if (Rt::any(view.lengths.q > kShortQuery)) {
      write_by_warp<kOutputs>(p, view, slice);
    } else {
      write_by_lane<kOutputs>(p, view, slice);
    }
    if constexpr (!kSeedOnly) {
      if (p.tail != NSAMETA_TAIL_KEEP) write_tail<kOutputs>(s, p, view, query_width, slice);
    }
  }

  // A cu output: `before` at each request, and behind the last one of the batch `own` more.
  static NSAMETA_DEVICE void store_cu(const params& p, std::int32_t* output, std::int32_t request, std::int32_t before,
                                      std::int32_t own) {
    if (request < p.batch) output[request] = before;
    if (request == p.batch - 1) output[p.batch] = formula::wrap_add(before, own);
    if (request == 0 && p.batch == 0) output[0] = 0;
  }

  // Sums of query lengths at their full size: modulo 2^32 before a lane's request, and T, capped at INT32_MAX.
  struct query_sums {
    std::int32_t before;
    std::int32_t num_tokens;
  };

  static NSAMETA_DEVICE query_sums sum_queries(smem& s, std::int32_t own) {
    const std::int32_t up_to = totals<0U>{own, 0, 0}.scanned().tokens;
    const std::int32_t before = formula::wrap_sub(up_to, own);
    const std::int32_t capped = saturating_reduce<Rt>(own);
    if constexpr (kGroups == 1) return {before, capped};
    constexpr sum_kind kCapped = KEY_SUM;  // which this role has no other use for
    put(s, TOKEN_SUM, Rt::shfl(up_to, Rt::kWarp - 1));
    put(s, kCapped, capped);
    Rt::sync_block();
    return {formula::wrap_add(below(s, TOKEN_SUM), before), saturating_reduce<Rt>(sum_of_lane(s, kCapped))};
  }

  // Role 0: T, cu_seqlens_q and the faults.
  static NSAMETA_DEVICE void write_query_lengths(smem& s, const params& p, std::int32_t query_width) {
    const std::int32_t request = Rt::thread_idx();
    const std::int32_t readable = not_negative(smaller(request, p.batch - 1));
    const std::int32_t stored_kv = load_kv(p, readable);
    const std::int32_t stored_q = kRagged ? load_q(p, readable) : query_width;
    const std::int32_t q = not_negative(stored_q);
    query_sums sums{wrapped_product(request, q), constant_total(p, q)};
    if constexpr (kRagged) sums = sum_queries(s, request < p.batch ? q : 0);
    if (request == 0) write_total_tokens<Rt>(p, sums.num_tokens);
    if (request < p.batch) report_lengths<Rt>(p, request, stored_kv, stored_q);
    if (!kSeedOnly && p.cu_seqlens_q != nullptr) store_cu(p, p.cu_seqlens_q, request, sums.before, q);
  }

  // Role 1: cache_seqlens, cu_seqlens_k.
  static NSAMETA_DEVICE void write_key_lengths(smem& s, const params& p, std::int32_t query_width) {
    const auto view = group_view < kKeys ? kKeyedOutputs : 0U > ::make(s, p, query_width);
    if (p.cache_seqlens != nullptr && view.request < p.batch) p.cache_seqlens[view.request] = view.lengths.kv;
    if (kKeys && p.cu_seqlens_k != nullptr) {
      store_cu(p, p.cu_seqlens_k, view.request, view.before.keys, view.lengths.kv);
    }
  }

  // Role 2: paged_mqa_ctx_lens_2d, and nsa_cu_seqlens_k[T].
  static NSAMETA_DEVICE void write_context_lengths(smem& s, const params& p, std::int32_t query_width) {
    const std::int32_t request = Rt::thread_idx();
    if (p.ctx_lens != nullptr && request < p.batch) {
      const std::int32_t kv = not_negative(load_kv(p, request));
      std::int32_t* const row = p.ctx_lens + request * p.ctx_lens_row_stride;
      NSAMETA_NO_UNROLL
      for (std::int32_t column = 0; column < p.ctx_lens_columns; ++column) row[column] = kv;
    }
    if constexpr (kKeys) {
      if (p.capacity[SPARSE_CU] == 0) return;
      const auto lengths = load_lengths_if<kRagged>(p, request, query_width, request < p.batch);
      const auto of_warp = totals<kSummedOutputs>::of(p, lengths).reduced();
      share<kSummedOutputs>(s, of_warp);
      const auto all = kGroups > 1 ? sums_of_all<kSummedOutputs>(s) : of_warp;
      if (request == 0) store_token_output(p, SPARSE_CU, num_tokens_of(p, all, query_width), all.sparse_keys);
    }
  }

  static NSAMETA_DEVICE void run(smem& s, const params& p) {
    Rt::allow_next_launch();
    const std::int32_t role = Rt::block_idx();
    const std::int32_t query_width = load_query_width<kRagged>(p);
    if constexpr (kSeedOnly) {
      if (role == 0) {
        write_query_lengths(s, p, query_width);
      } else {
        write_tokens<kSeedOutputs>(s, p, query_width, role - 1);
      }
    } else {
      const std::int32_t slice = role - kNumRoles;
      if (role == 0) write_query_lengths(s, p, query_width);
      if (role == 1) write_key_lengths(s, p, query_width);
      if (role == 2) write_context_lengths(s, p, query_width);
      if (slice >= 0 && slice < p.num_slices) write_tokens<kPlainOutputs>(s, p, query_width, slice);
      if constexpr (kKeys) {
        const std::int32_t second = slice - p.num_slices;
        const std::int32_t third = second - p.num_slices;
        if (second >= 0 && third < 0) write_tokens<kKeyedOutputs>(s, p, query_width, second);
        if (third >= 0) write_tokens<kSummedOutputs>(s, p, query_width, third);
      }
    }
  }
};

}  // namespace nsameta::simt
