// build_metadata for up to kMaxGroupRequests requests. A group is kWarp neighbouring requests, one a lane. Several
// warps serve a group, each alone: it sums up the groups before by itself, so nobody waits for anybody and no memory is
// shared. The first kNumRoles warps of a group write per-request outputs, the others (slices) share the group's tokens.
#pragma once

#include <cstdint>

#include "backends/simt/build_metadata_policy.h"
#include "backends/simt/scan.h"
#include "backends/simt/token_outputs.h"

namespace nsameta::simt {

// kGroups: a power of two, at least 1 << group_bits. kSeedOnly: params pass is_seed_only.
template <class Rt, int kGroups, bool kRagged, bool kKeys, bool kSeedOnly>
struct build_metadata_small {
  static constexpr int kBlock = kSmallBlock;
  static constexpr int kOutputs = kSeedOnly ? SPARSE_CU : kNumTokenOutputs;
  // Requests up to this long are written one a lane, step by step; longer ones by whole warps.
  static constexpr std::int32_t kShortQuery = 16;
  using params = build_metadata_params;
  struct smem {};

  // Sums over requests, all modulo 2^32. For positions, q counts at most kMaxSmallQuery: what follows so long a request
  // lies beyond every capacity.
  struct totals {
    std::int32_t tokens;
    std::int32_t keys;
    std::int32_t sparse_keys;
  };

  static NSAMETA_DEVICE request_lengths load_lengths(const params& p, std::int32_t request, std::int32_t query_width,
                                                     bool exists) {
    request_lengths lengths{0, 0};
    if (exists) {
      lengths.kv = not_negative(load_kv(p, request));
      lengths.q = not_negative(kRagged ? load_q(p, request) : query_width);
    }
    return lengths;
  }

  static NSAMETA_DEVICE totals totals_of(const params& p, const request_lengths& lengths) {
    return {kRagged ? smaller(lengths.q, kMaxSmallQuery) : 0, kKeys ? lengths.kv : 0,
            kKeys ? sparse_keys_of(p, lengths) : 0};
  }

  static NSAMETA_DEVICE void add(totals& sum, const totals& more) {
    if constexpr (kRagged) sum.tokens += more.tokens;
    if constexpr (kKeys) {
      sum.keys = formula::wrap_add(sum.keys, more.keys);
      sum.sparse_keys = formula::wrap_add(sum.sparse_keys, more.sparse_keys);
    }
  }

  // Sums over the groups below `num_groups`; the loads of all groups are under way together.
  static NSAMETA_DEVICE totals sum_groups(const params& p, std::int32_t num_groups, std::int32_t query_width) {
    totals sum{};
    if constexpr (kRagged || kKeys) {
      request_lengths lengths[kGroups];
      NSAMETA_UNROLL
      for (int i = 0; i < kGroups; ++i) {
        const std::int32_t request = i * Rt::kWarp + Rt::lane();
        lengths[i] = load_lengths(p, request, query_width, i < num_groups && request < p.batch);
      }
      NSAMETA_UNROLL
      for (int i = 0; i < kGroups; ++i) add(sum, totals_of(p, lengths[i]));
      if constexpr (kRagged) sum.tokens = Rt::reduce_add(sum.tokens);
      if constexpr (kKeys) {
        sum.keys = Rt::reduce_add(sum.keys);
        sum.sparse_keys = Rt::reduce_add(sum.sparse_keys);
      }
    }
    return sum;
  }

  // Sums over the lanes up to this one.
  static NSAMETA_DEVICE totals inclusive_scan(totals value) {
    NSAMETA_UNROLL
    for (int distance = 1; distance < Rt::kWarp; distance *= 2) {
      totals below{};
      if constexpr (kRagged) below.tokens = Rt::shfl_up(value.tokens, distance);
      if constexpr (kKeys) {
        below.keys = Rt::shfl_up(value.keys, distance);
        below.sparse_keys = Rt::shfl_up(value.sparse_keys, distance);
      }
      if (Rt::lane() >= distance) add(value, below);
    }
    return value;
  }

  // A lane's request and the sums before it.
  struct group_view {
    request_lengths lengths;
    std::int32_t request;
    totals before;
    std::int32_t group_start;  // tokens
    std::int32_t group_end;

    NSAMETA_DEVICE request_terms terms(const params& p) const {
      return make_terms(p, lengths, before.tokens, before.keys, before.sparse_keys);
    }
  };

  static NSAMETA_DEVICE group_view view_group(const params& p, std::int32_t group, std::int32_t query_width) {
    group_view view{};
    view.request = group * Rt::kWarp + Rt::lane();
    view.lengths = load_lengths(p, view.request, query_width, view.request < p.batch);
    totals base{};
    if constexpr (kGroups > 1) base = sum_groups(p, group, query_width);
    const totals own = totals_of(p, view.lengths);
    const totals inclusive = inclusive_scan(own);
    view.before = {base.tokens + inclusive.tokens - own.tokens,
                   formula::wrap_add(base.keys, formula::wrap_sub(inclusive.keys, own.keys)),
                   formula::wrap_add(base.sparse_keys, formula::wrap_sub(inclusive.sparse_keys, own.sparse_keys))};
    if constexpr (kRagged) {
      view.group_start = base.tokens;
      view.group_end = base.tokens + Rt::shfl(inclusive.tokens, Rt::kWarp - 1);
    } else {
      const std::int32_t width = smaller(not_negative(query_width), kMaxSmallQuery);
      view.before.tokens = view.request * width;
      view.group_start = group * Rt::kWarp * width;
      view.group_end = smaller(p.batch, (group + 1) * Rt::kWarp) * width;
    }
    return view;
  }

  // Short requests: each lane writes its own, token by token.
  static NSAMETA_DEVICE void write_by_lane(const params& p, const group_view& view, std::int32_t slice) {
    const request_terms terms = view.terms(p);
    for (std::int32_t j = slice; j < view.lengths.q; j += p.num_slices) {
      const std::int32_t t = view.before.tokens + j;
      store_token<kOutputs>(p, t, token_values::make<kOutputs>(p, t, view.request, terms));
    }
  }

  static NSAMETA_DEVICE request_terms terms_of_lane(const request_terms& terms, int lane) {
    return {Rt::shfl(terms.visible_base, lane), kKeys ? Rt::shfl(terms.keys, lane) : 0,
            kKeys ? Rt::shfl(terms.sparse_base, lane) : 0};
  }

  // Any requests: neighbouring lanes take neighbouring tokens, and find the owner in the lanes that hold the requests.
  static NSAMETA_DEVICE void write_by_warp(const params& p, const group_view& view, std::int32_t slice) {
    const request_terms terms = view.terms(p);
    const std::int32_t end = smaller(view.group_end, p.max_token_capacity);
    const std::int32_t step = p.num_slices * Rt::kWarp;
    for (std::int32_t first = view.group_start + slice * Rt::kWarp; first < end; first += step) {
      const std::int32_t t = first + Rt::lane();
      int owner = 0;
      NSAMETA_UNROLL
      for (int half = Rt::kWarp / 2; half > 0; half /= 2) {
        if (Rt::shfl(view.before.tokens, owner + half) <= t) owner += half;
      }
      const request_terms found = terms_of_lane(terms, owner);
      const std::int32_t request = view.request - Rt::lane() + owner;
      if (t < end) store_token<kOutputs>(p, t, token_values::make<kOutputs>(p, t, request, found));
    }
  }

  // The group that holds the last token fills what lies behind it.
  static NSAMETA_DEVICE void write_tail(const params& p, const group_view& view, std::int32_t query_width,
                                        std::int32_t slice) {
    const totals all = sum_groups(p, kGroups, query_width);
    const std::int32_t width = smaller(not_negative(query_width), kMaxSmallQuery);
    const std::int32_t num_tokens = kRagged ? all.tokens : p.batch * width;
    if (view.group_start >= num_tokens || view.group_end != num_tokens) return;
    const int owner = Rt::last_bit(Rt::ballot(view.lengths.q > 0));
    const request_terms found = terms_of_lane(view.terms(p), owner);
    const std::int32_t request = view.request - Rt::lane() + owner;
    token_values last = token_values::make<kOutputs>(p, num_tokens - 1, request, found);
    last.of[SPARSE_CU] = all.sparse_keys;
    store_tail(p, num_tokens, last, num_tokens + slice * Rt::kWarp + Rt::lane(), p.num_slices * Rt::kWarp);
  }

  static NSAMETA_DEVICE void write_tokens(const params& p, std::int32_t group, std::int32_t query_width,
                                          std::int32_t slice) {
    const group_view view = view_group(p, group, query_width);
    if (Rt::any(view.lengths.q > kShortQuery)) {
      write_by_warp(p, view, slice);
    } else {
      write_by_lane(p, view, slice);
    }
    if constexpr (!kSeedOnly) {
      if (p.tail != NSAMETA_TAIL_KEEP) write_tail(p, view, query_width, slice);
    }
  }

  // values of a cu output: `before` each request, and behind the last one of the batch `own` more.
  static NSAMETA_DEVICE void store_cu(const params& p, std::int32_t* output, std::int32_t request, std::int32_t before,
                                      std::int32_t own) {
    if (request < p.batch) output[request] = before;
    if (request == p.batch - 1) output[p.batch] = formula::wrap_add(before, own);
    if (request == 0 && p.batch == 0) output[0] = 0;
  }

  // Role 0: T, cu_seqlens_q and the faults, of query lengths at their full size.
  static NSAMETA_DEVICE void write_query_lengths(const params& p, std::int32_t group, std::int32_t query_width) {
    const std::int32_t request = group * Rt::kWarp + Rt::lane();
    const std::int32_t width = not_negative(query_width);
    std::int32_t num_tokens = constant_total(p, width);
    std::int32_t before = wrapped_product(request, width);
    std::int32_t q = width;
    if constexpr (kRagged) {
      q = request < p.batch ? not_negative(load_q(p, request)) : 0;
      std::int32_t sum_before = 0;
      std::int32_t high = 0;  // the upper halves apart, so that T is exact beyond 2^31
      std::int32_t low = 0;
      NSAMETA_UNROLL
      for (int i = 0; i < kGroups; ++i) {
        const std::int32_t item = i * Rt::kWarp + Rt::lane();
        const std::int32_t length = item < p.batch ? not_negative(load_q(p, item)) : 0;
        if (i < group) sum_before = formula::wrap_add(sum_before, length);
        high += length >> 16;
        low += length & 0xffff;
      }
      std::int32_t inclusive = q;
      NSAMETA_UNROLL
      for (int distance = 1; distance < Rt::kWarp; distance *= 2) {
        const std::int32_t below = Rt::shfl_up(inclusive, distance);
        if (Rt::lane() >= distance) inclusive = formula::wrap_add(inclusive, below);
      }
      before = formula::wrap_add(Rt::reduce_add(sum_before), formula::wrap_sub(inclusive, q));
      const std::int64_t total = (std::int64_t{Rt::reduce_add(high)} << 16) + Rt::reduce_add(low);
      num_tokens = total < INT32_MAX ? static_cast<std::int32_t>(total) : INT32_MAX;
    }
    if (request == 0) write_total_tokens<Rt>(p, num_tokens);
    if (request < p.batch) {
      report_lengths<Rt>(p, request, load_kv(p, request), kRagged ? load_q(p, request) : query_width);
    }
    if (!kSeedOnly && p.cu_seqlens_q != nullptr) store_cu(p, p.cu_seqlens_q, request, before, q);
  }

  // Role 1: cache_seqlens, cu_seqlens_k.
  static NSAMETA_DEVICE void write_key_lengths(const params& p, std::int32_t group, std::int32_t query_width) {
    const group_view view = view_group(p, group, query_width);
    if (p.cache_seqlens != nullptr && view.request < p.batch) p.cache_seqlens[view.request] = view.lengths.kv;
    if (kKeys && p.cu_seqlens_k != nullptr) {
      store_cu(p, p.cu_seqlens_k, view.request, view.before.keys, view.lengths.kv);
    }
  }

  // Role 2: paged_mqa_ctx_lens_2d, and nsa_cu_seqlens_k[T].
  static NSAMETA_DEVICE void write_context_lengths(const params& p, std::int32_t group, std::int32_t query_width) {
    const std::int32_t request = group * Rt::kWarp + Rt::lane();
    if (p.ctx_lens != nullptr && request < p.batch) {
      const std::int32_t kv = not_negative(load_kv(p, request));
      std::int32_t* const row = p.ctx_lens + request * p.ctx_lens_row_stride;
      for (std::int32_t column = 0; column < p.ctx_lens_columns; ++column) row[column] = kv;
    }
    if (!kKeys || group != 0 || p.capacity[SPARSE_CU] == 0) return;
    const totals all = sum_groups(p, kGroups, query_width);
    const std::int32_t width = smaller(not_negative(query_width), kMaxSmallQuery);
    if (request == 0) store_token_output(p, SPARSE_CU, kRagged ? all.tokens : p.batch * width, all.sparse_keys);
  }

  static NSAMETA_DEVICE void run(smem&, const params& p) {
    constexpr std::int32_t kRoles = kSeedOnly ? 1 : kNumRoles;
    const std::int32_t warp = Rt::block_idx() * (kBlock / Rt::kWarp) + Rt::warp();
    const std::int32_t group = kGroups == 1 ? 0 : warp & ((1 << p.group_bits) - 1);
    const std::int32_t role = kGroups == 1 ? warp : warp >> p.group_bits;
    const std::int32_t query_width = load_query_width<kRagged>(p);
    if (role >= kRoles) {
      if (role < kRoles + p.num_slices) write_tokens(p, group, query_width, role - kRoles);
    } else if (role == 0) {
      write_query_lengths(p, group, query_width);
    } else if (role == 1) {
      write_key_lengths(p, group, query_width);
    } else {
      write_context_lengths(p, group, query_width);
    }
  }
};

}  // namespace nsameta::simt
