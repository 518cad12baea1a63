// build_metadata for any batch and any number of tokens. Requests are divided into chunks, at most kMaxChunks. Each
// block sums up all chunks by itself, or with the other blocks of its cluster, so that it can start anywhere: no
// workspace, no hand-over beyond a cluster. Tokens are dealt to blocks evenly, however unevenly requests hold them, and
// to a block's warps in tiles, one after the other, so that a block writes to one place of each output. With kTables
// the first blocks write schedule and plan, and the others table rows, too: 1 << slice_bits warps a request.
#pragma once

#include <cstdint>
#include <type_traits>

#include "backends/simt/build_metadata_policy.h"
#include "backends/simt/large_request_outputs.h"
#include "backends/simt/large_work.h"
#include "backends/simt/mqa_schedule_chunks.h"
#include "backends/simt/request_chunks.h"
#include "backends/simt/request_tail.h"
#include "backends/simt/request_window.h"
#include "backends/simt/table_rows.h"
#include "backends/simt/token_outputs.h"
#include "backends/simt/topk_plan.h"

namespace nsameta::simt {

// kSeedOnly: params pass is_seed_only. kTables: outputs beyond lengths, or a batch that is smaller than max_batch.
template <class Rt, bool kRagged, bool kKeys, bool kSeedOnly, bool kTables = false>
struct build_metadata_large {
  static constexpr unsigned kOutputs = kSeedOnly ? kSeedOutputs : kTables ? kAllOutputs | kSlotOutputs : kAllOutputs;
  static constexpr unsigned kSums = (kRagged ? kTokenSum : 0U) | (kRagged && !kSeedOnly ? kWrappedTokenSum : 0U) |
                                    (kKeys ? kKeySums : 0U) | (kTables ? kHighKeySum : 0U);
  static constexpr bool kHasSums = kSums != 0;
  static constexpr int kBlock = max_large_block(Rt::kWarp);
  static constexpr int kTile = Rt::kWarp * 4;  // tokens that a warp stores at a time
  using params = build_metadata_params;
  using sums = prefix_sum<kSums>;
  using requests = lane_requests<Rt, kRagged, kSums>;
  using chunks = request_chunks<Rt, kRagged, kSums>;
  using window = request_window<Rt, kBlock, kRagged, kSums>;
  using schedule = mqa_schedule_chunks<Rt, kMaxChunks, kRagged>;
  using plan = topk_plan<Rt>;
  using range = half_open;
  using work = large_work<Rt, kTables>;
  using request_outputs = large_request_outputs<Rt, kRagged, kKeys, kTables, kSums>;
  // Where the block begins.
  struct block_start {
    std::int32_t num_tokens;  // of the launch
    std::int32_t chunk;       // that holds the block's first token
    prefix before;            // that chunk
  };
  struct no_smem {};
  struct length_smem {
    std::conditional_t<kHasSums, typename chunks::smem, no_smem> of_chunks;
    std::conditional_t<kHasSums, typename window::smem, no_smem> of_window;
    block_start start;
  };
  union smem {
    length_smem of_lengths;
    std::conditional_t<kTables, typename schedule::smem, no_smem> of_schedule;
    std::conditional_t<kTables, typename plan::smem, no_smem> of_plan;
  };

  // ---- outputs of tokens --------------------------------------------------------------------------------------------

  // The block's part of `count` positions, in whole tiles.
  static NSAMETA_DEVICE range part_of(const params& p, std::int32_t count) {
    const std::uint32_t tiles = (static_cast<std::uint32_t>(count) + kTile - 1) / kTile;
    const std::int64_t tiles_of_block = p.work_blocks.divide(tiles + p.work_blocks.divisor - 1);
    const std::int64_t begin = work::block(p) * tiles_of_block * kTile;
    const std::int64_t end = begin + tiles_of_block * kTile;
    return {static_cast<std::int32_t>(begin < count ? begin : count),
            static_cast<std::int32_t>(end < count ? end : count)};
  }

  // The block's tiles of [tokens.begin, tokens.end), which is not empty, a warp each: write(first token, end of what is
  // written).
  template <class Write>
  static NSAMETA_DEVICE void for_each_tile(const range& tokens, Write write) {
    const std::int32_t num_tiles = (tokens.end - 1) / kTile + 1;
    NSAMETA_NO_UNROLL
    for (std::int32_t i = tokens.begin / kTile + Rt::warp(); i < num_tiles; i += work::num_warps_of_block()) {
      const std::int32_t tile = i * kTile;
      write(tile, tokens.end - tile < kTile ? tokens.end : tile + kTile);
    }
  }

  // Tokens of the window's requests, which begin with `first`.
  static NSAMETA_DEVICE void write_in_window(const typename window::smem& s, const params& p, std::int32_t first,
                                             const range& tokens) {
    const std::int32_t leads = window::lead_of_lane(s);
    const unsigned wide = token_quad<Rt>::template wide_outputs<kOutputs>(p, tokens.end);
    for_each_tile(tokens, [&](std::int32_t tile, std::int32_t end) {
      token_quad<Rt> quad;
      quad.t = tile + Rt::lane() * 4;
      quad.from = tile < tokens.begin ? tokens.begin : tile;
      quad.end = end;
      quad.wide = end - quad.from == kTile ? wide : 0U;
      const auto owners = window::owners::find(s, leads, quad.from, end, quad.t);
      NSAMETA_UNROLL
      for (int i = 0; i < 4; ++i) {
        quad.request[i] = first + owners.slot[i];
        quad.terms[i] = window::terms_of(s, owners.slot[i]);
      }
      quad.template store_all<kOutputs>(p);
    });
  }

  // By one warp, so that the others leave the multiprocessor to it.
  static NSAMETA_DEVICE void find_start(length_smem& s, const params& p, std::int32_t query_width) {
    block_start start{};
    typename chunks::token_scan scan{};
    start.num_tokens = constant_total(p, not_negative(query_width));
    if constexpr (kRagged) {
      scan = chunks::scan_tokens(s.of_chunks);
      start.num_tokens = scan.total;
    }
    const range tokens = part_of(p, smaller(start.num_tokens, p.max_token_capacity));
    if (tokens.begin < tokens.end) {
      if constexpr (kRagged) {
        const auto found = scan.find(tokens.begin);
        start.chunk = found.chunk;
        start.before.tokens = found.before;
      } else {
        start.chunk = (tokens.begin / query_width) >> p.chunk_bits;
      }
      if constexpr (kKeys) start.before = chunks::before(s.of_chunks, start.chunk);
    }
    if (Rt::lane() == 0) s.start = start;
  }

  // Every thread of the block calls.
  static NSAMETA_DEVICE void write_tokens(length_smem& s, const params& p, std::int32_t query_width,
                                          std::int32_t num_tokens) {
    const range tokens = part_of(p, smaller(num_tokens, p.max_token_capacity));
    if (tokens.begin >= tokens.end) return;
    if constexpr (kHasSums) {
      prefix before = s.start.before;
      std::int32_t first = s.start.chunk << p.chunk_bits;
      range rest = tokens;
      for (;;) {
        window::open(s.of_window, p, first, query_width, before);
        before = s.of_window.behind;
        const std::int32_t end = smaller(before.tokens, tokens.end);
        if (rest.begin < end) {
          write_in_window(s.of_window, p, first, {rest.begin, end});
          rest.begin = end;
        }
        if (end == tokens.end) return;
        first += Rt::block_dim();
        Rt::sync_block();  // before the next window takes the place of this one
      }
    } else {
      write_by_division(p, query_width, tokens);
    }
  }

  // Where no sum is needed, all requests have one query width: the request of a token follows from a division.
  static NSAMETA_DEVICE request_terms terms_by_division(const params& p, std::int32_t query_width,
                                                        std::int32_t request) {
    const request_lengths lengths{not_negative(load_kv(p, request)), query_width};
    return make_terms(p, lengths, request * query_width, 0, 0);
  }

  static NSAMETA_DEVICE void write_by_division(const params& p, std::int32_t query_width, const range& tokens) {
    const formula::divider width = divide_by(query_width);
    const unsigned wide = token_quad<Rt>::template wide_outputs<kOutputs>(p, tokens.end);
    for_each_tile(tokens, [&](std::int32_t tile, std::int32_t end) {
      token_quad<Rt> quad;
      quad.t = tile + Rt::lane() * 4;
      quad.from = tile;
      quad.end = end;
      quad.wide = end - tile == kTile ? wide : 0U;
      if (quad.t >= end) return;
      NSAMETA_UNROLL
      for (int i = 0; i < 4; ++i) {
        const std::int32_t request = divide(smaller(quad.t + i, end - 1), width);
        quad.request[i] = request;
        quad.terms[i] = terms_by_division(p, query_width, request);
      }
      quad.template store_all<kOutputs>(p);
    });
  }

  // What is behind the last token. sparse_keys: the sum over all.
  static NSAMETA_DEVICE void write_tail(const length_smem& s, const params& p, std::int32_t query_width,
                                        std::int32_t num_tokens, std::int32_t sparse_keys) {
    const std::int32_t t = num_tokens - 1;
    std::int32_t request = 0;
    request_terms terms{};
    if constexpr (kHasSums) {
      if constexpr (kRagged) {
        const auto found = chunks::scan_tokens(s.of_chunks).find(t);
        request = chunks::request_of(p, found.chunk, found.before, t);
      } else {
        request = t / query_width;
      }
      const prefix before = chunks::sums_before(s.of_chunks, p, query_width, request);
      const request_lengths lengths{not_negative(load_kv(p, request)), kRagged ? load_q(p, request) : query_width};
      terms = make_terms(p, lengths, kRagged ? before.tokens : request * query_width, before.keys, before.sparse_keys);
    } else {
      request = t / query_width;
      terms = terms_by_division(p, query_width, request);
    }
    token_values last = token_values::make<kOutputs>(p, t, request, terms);
    last.of[SPARSE_CU] = sparse_keys;
    const std::int32_t num_threads = work::num_threads(p);
    store_tail<kOutputs>(p, num_tokens, last, work::thread(p), num_threads);
  }

  // ---- tables -------------------------------------------------------------------------------------------------------

  // Rows of the tables and the flattened table.
  static NSAMETA_DEVICE void write_tables(const length_smem& s, const params& p, std::int32_t query_width) {
    if (p.slots_table.data == nullptr && p.page_table.data == nullptr && p.flattened == nullptr) return;
    const std::int64_t num_units = std::int64_t{p.batch} << p.slice_bits;
    const std::int32_t width = not_negative(query_width);
    NSAMETA_NO_UNROLL
    for (std::int64_t unit = work::warp_from_last(p); unit < num_units; unit += work::num_warps(p)) {
      const auto request = static_cast<std::int32_t>(unit >> p.slice_bits);
      const std::int32_t slice = static_cast<std::int32_t>(unit) & ((1 << p.slice_bits) - 1);
      const thread_share mine{slice * Rt::kWarp + Rt::lane(), Rt::kWarp << p.slice_bits};
      prefix before{};
      if ((kRagged && p.tables_by_token != 0) || p.flattened != nullptr)
        before = chunks::sums_before(s.of_chunks, p, query_width, request);
      table_request row{nullptr, not_negative(load_kv(p, request)), request, 1};
      if (p.tables_by_token != 0) {
        row.first_row = kRagged ? before.tokens : formula::saturate(std::int64_t{request} * width);
        row.num_rows = kRagged ? not_negative(load_q(p, request)) : width;
      }
      table_rows<Rt>::write(p, load_pool_row(p, request), row, mine);
      if (p.flattened != nullptr) table_rows<Rt>::write_flattened(p, row, exact_keys(before), mine);
    }
  }

  // ---- all ----------------------------------------------------------------------------------------------------------

  // What only the sums over the batch say, by the first block.
  static NSAMETA_DEVICE void write_totals(const params& p, const prefix& all, std::int32_t num_tokens) {
    if (work::block(p) != 0) return;
    if (Rt::thread_idx() == 0) {
      write_total_tokens<Rt>(p, num_tokens);
      if constexpr (kKeys) store_token_output(p, SPARSE_CU, num_tokens, all.sparse_keys);
      if (kTables && p.flattened != nullptr && exact_keys(all) > p.flattened_capacity) {
        report_fault<Rt>(p, NSAMETA_CHECK_KEYS_OVER_CAPACITY, -1, exact_keys(all));
      }
    }
    if (kTables && p.batch < p.max_batch) store_request_tail(p, all, Rt::thread_idx(), Rt::block_dim());
  }

  // All sums over the batch. Of a launch with one query width the tokens are known.
  static NSAMETA_DEVICE prefix add_up(const length_smem& s, const params& p, std::int32_t query_width) {
    prefix all{};
    if constexpr (kHasSums) all = chunks::before(s.of_chunks, chunks::count(p));
    if constexpr (!kRagged) all.tokens_wrapped = wrapped_product(p.batch, not_negative(query_width));
    return all;
  }

  static NSAMETA_DEVICE void run_work(length_smem& s, const params& p, std::int32_t query_width) {
    const auto own = request_outputs::load_own(p, query_width);
    if constexpr (kHasSums) {
      chunks::sum(s.of_chunks, p, query_width);
      if (Rt::warp() == 0) find_start(s, p, query_width);
      Rt::sync_block();
    }
    request_outputs::report_faults(p, query_width, own);
    const std::int32_t num_tokens = kHasSums ? s.start.num_tokens : constant_total(p, not_negative(query_width));
    write_tokens(s, p, query_width, num_tokens);
    prefix all{};
    if constexpr (!kSeedOnly) {
      const bool has_tail = p.tail != NSAMETA_TAIL_KEEP && 0 < num_tokens && num_tokens < p.max_token_capacity;
      if (has_tail || work::block(p) == 0) all = add_up(s, p, query_width);
      if (has_tail) write_tail(s, p, query_width, num_tokens, all.sparse_keys);
      request_outputs::write(s.of_chunks, p, query_width);
      request_outputs::write_context_lengths(p);
    }
    if constexpr (kTables) write_tables(s, p, query_width);
    write_totals(p, all, num_tokens);
  }

  static NSAMETA_DEVICE void run(smem& s, const params& p) {
    const std::int32_t query_width = load_query_width<kRagged>(p);
    if constexpr (kTables) {
      const std::int32_t block = Rt::block_idx();
      if (block < p.first_length_block) {
        if (block < p.first_plan_block) {
          if (p.schedule != nullptr) schedule::run(s.of_schedule, p, query_width);
        } else if (p.plan != nullptr) {
          plan::template run<kRagged>(s.of_plan, p, query_width);
        }
        return;
      }
    }
    run_work(s.of_lengths, p, query_width);
  }
};

}  // namespace nsameta::simt
