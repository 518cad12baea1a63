// build_metadata for any batch and any number of tokens. Requests are divided into chunks, at most kMaxChunks. Each
// block sums up all chunks by itself, so that its warps can start anywhere: no workspace, no hand-over between blocks.
// Tokens are dealt to warps evenly, however unevenly requests hold them. With kTables the first blocks write schedule
// and plan, and the others table rows, too: 1 << slice_bits warps a request.
#pragma once

#include <cstdint>
#include <type_traits>

#include "backends/simt/build_metadata_policy.h"
#include "backends/simt/mqa_schedule_chunks.h"
#include "backends/simt/request_chunks.h"
#include "backends/simt/request_tail.h"
#include "backends/simt/segment.h"
#include "backends/simt/table_rows.h"
#include "backends/simt/token_outputs.h"
#include "backends/simt/topk_plan.h"

namespace nsameta::simt {

// kSeedOnly: params pass is_seed_only. kTables: outputs beyond lengths, or a batch that is smaller than max_batch.
template <class Rt, bool kRagged, bool kKeys, bool kSeedOnly, bool kTables = false>
struct build_metadata_large {
  static constexpr unsigned kOutputs = kSeedOnly ? kSeedOutputs : kTables ? kAllOutputs | kSlotOutputs : kAllOutputs;
  static constexpr int kBlock = max_large_block(Rt::kWarp);
  static constexpr int kMaxWarps = kBlock / Rt::kWarp;
  static constexpr int kTile = Rt::kWarp * 4;  // tokens that a warp stores at a time
  static constexpr bool kHasPrefixes = kRagged || kKeys;
  using params = build_metadata_params;
  using sums = prefix_sum<kRagged, kKeys, kTables>;
  static constexpr int kItems = kSegmentItems;
  using seg = segment<Rt, kItems, kRagged, kKeys, kTables>;
  using schedule = mqa_schedule_chunks<Rt, kMaxChunks, kRagged>;
  using plan = topk_plan<Rt>;
  using chunks = request_chunks<Rt, kItems, kRagged, kKeys, kTables>;
  using range = half_open;
  struct length_smem {
    typename seg::smem of_warp[kHasPrefixes ? kMaxWarps : 1];
    std::conditional_t<kHasPrefixes, typename chunks::smem, chunk_total> sums;
  };
  struct no_smem {};
  union smem {
    length_smem of_lengths;
    std::conditional_t<kTables, typename schedule::smem, no_smem> of_schedule;
    std::conditional_t<kTables, typename plan::smem, no_smem> of_plan;
  };

  // Blocks that write lengths and tables.
  static NSAMETA_DEVICE std::int32_t work_block(const params& p) {
    return Rt::block_idx() - (kTables ? p.first_length_block : 0);
  }
  static NSAMETA_DEVICE std::int32_t num_work_blocks(const params& p) {
    return Rt::grid_dim() - (kTables ? p.first_length_block : 0);
  }

  static NSAMETA_DEVICE std::int32_t num_warps() { return chunks::num_warps(); }

  // Per-request outputs, and the faults in lengths.
  static NSAMETA_DEVICE void write_requests(const length_smem& s, const params& p, std::int32_t query_width,
                                            std::int32_t warp, std::int32_t all_warps) {
    const bool has_outputs =
        !kSeedOnly && (p.cache_seqlens != nullptr || p.cu_seqlens_k != nullptr || p.cu_seqlens_q != nullptr);
    const std::int32_t num_chunks = chunks::count(p);
    NSAMETA_NO_UNROLL
    for (std::int32_t chunk = warp; chunk < num_chunks; chunk += all_warps) {
      const range requests = chunks::requests_of(p, chunk);
      prefix before = kHasPrefixes ? s.sums.before_chunk[chunk] : prefix{};
      std::int32_t first = requests.begin;
      do {  // an empty batch too has sums to write
        typename seg::lane_items items;
        seg::load(p, first, query_width, true, items.lengths);
        if constexpr (kTables) report_segment(p, first, items);
        if (has_outputs) {
          before = seg::scan(p, before, items);
          write_segment(p, first, query_width, items, before);
        }
        first += seg::kRequests;
      } while (first < requests.end);
    }
  }

  static NSAMETA_DEVICE void report_segment(const params& p, std::int32_t first,
                                            const typename seg::lane_items& items) {
    if (!wants_slots(p)) return;
    NSAMETA_UNROLL
    for (int i = 0; i < kItems; ++i) {
      const std::int32_t request = seg::first_of_lane(first) + i;
      if (request < p.batch) report_slots<Rt>(p, request, load_pool_row(p, request), items.lengths[i].kv);
    }
  }

  static NSAMETA_DEVICE void write_segment(const params& p, std::int32_t first, std::int32_t query_width,
                                           const typename seg::lane_items& items, const prefix& after) {
    std::int32_t values[kItems];
    if (p.cache_seqlens != nullptr) {
      NSAMETA_UNROLL
      for (int i = 0; i < kItems; ++i) values[i] = items.lengths[i].kv;
      seg::store(p, p.cache_seqlens, first, values);
    }
    if (kKeys && p.cu_seqlens_k != nullptr) {
      NSAMETA_UNROLL
      for (int i = 0; i < kItems; ++i) values[i] = items.before[i].keys;
      seg::store_cu(p, p.cu_seqlens_k, first, values, after.keys);
    }
    if (p.cu_seqlens_q != nullptr) {
      const std::int32_t width = not_negative(query_width);
      NSAMETA_UNROLL
      for (int i = 0; i < kItems; ++i) {
        values[i] = kRagged ? items.before[i].tokens_wrapped : wrapped_product(seg::first_of_lane(first) + i, width);
      }
      seg::store_cu(p, p.cu_seqlens_q, first, values, kRagged ? after.tokens_wrapped : wrapped_product(p.batch, width));
    }
  }

  // paged_mqa_ctx_lens_2d, a cell a thread.
  static NSAMETA_DEVICE void write_context_lengths(const params& p) {
    if (p.ctx_lens == nullptr) return;
    const formula::divider columns = divide_by(p.ctx_lens_columns);
    const auto num_cells = static_cast<std::uint32_t>(p.batch) * columns.divisor;
    const auto num_threads = static_cast<std::uint32_t>(num_work_blocks(p) * Rt::block_dim());
    for (auto cell = static_cast<std::uint32_t>(work_block(p) * Rt::block_dim() + Rt::thread_idx()); cell < num_cells;
         cell += num_threads) {
      const std::int32_t row = static_cast<std::int32_t>(columns.divide(cell));
      const std::int32_t column = static_cast<std::int32_t>(cell) - row * p.ctx_lens_columns;
      p.ctx_lens[row * p.ctx_lens_row_stride + column] = not_negative(load_kv(p, row));
    }
  }

  // A warp's place among the segments.
  struct cursor {
    std::int32_t first_request;
    range tokens;
    prefix after;
  };

  // Makes the segment from `first_request` on the warp's own; before: the sums before it.
  static NSAMETA_DEVICE cursor open(typename seg::smem& mine, const params& p, std::int32_t query_width,
                                    std::int32_t first_request, const prefix& before) {
    typename seg::lane_items items;
    seg::load(p, first_request, query_width, false, items.lengths);
    cursor at{first_request, {}, seg::scan(p, before, items)};
    seg::publish(p, first_request, query_width, items, mine);
    if constexpr (kRagged) {
      at.tokens = {before.tokens, at.after.tokens};
    } else {
      const std::int64_t width = not_negative(query_width);
      const std::int32_t room = p.batch - first_request;
      const std::int64_t begin = first_request * width;
      const std::int64_t end = begin + smaller(room, seg::kRequests) * width;
      at.tokens = {formula::saturate(begin), formula::saturate(end)};
    }
    return at;
  }

  static NSAMETA_DEVICE cursor open_next(typename seg::smem& mine, const params& p, std::int32_t query_width,
                                         const cursor& at) {
    return open(mine, p, query_width, at.first_request + seg::kRequests, at.after);
  }

  // The segment that holds token t.
  static NSAMETA_DEVICE cursor seek(const length_smem& s, typename seg::smem& mine, const params& p,
                                    std::int32_t query_width, std::int32_t t) {
    std::int32_t chunk = 0;
    if constexpr (kRagged) {
      const std::int32_t num_chunks = chunks::count(p);
      for (int step = kMaxChunks / 2; step > 0; step /= 2) {
        if (chunk + step < num_chunks && s.sums.before_chunk[chunk + step].tokens <= t) chunk += step;
      }
    } else {
      chunk = t / query_width / p.requests_per_chunk;
    }
    const range requests = chunks::requests_of(p, chunk);
    cursor at = open(mine, p, query_width, requests.begin, s.sums.before_chunk[chunk]);
    while (at.tokens.end <= t && at.first_request + seg::kRequests < requests.end) {
      at = open_next(mine, p, query_width, at);
    }
    return at;
  }

  // Tokens [begin, end) of the segment.
  static NSAMETA_DEVICE void write_in_segment(const typename seg::smem& mine, const params& p, const cursor& at,
                                              std::int32_t begin, std::int32_t end) {
    int slot = -1;
    std::int32_t next_start = -1;  // of the request behind `slot`
    token_quad<Rt> quad;
    quad.from = begin;
    quad.end = end;
    NSAMETA_NO_UNROLL
    for (std::int32_t tile = begin / kTile * kTile; tile < end; tile += kTile) {
      quad.t = tile + Rt::lane() * 4;
      if (quad.t >= end || quad.t + 4 <= begin) continue;
      if (slot < 0 || quad.t + 3 >= next_start) {
        NSAMETA_UNROLL
        for (int i = 0; i < 4; ++i) {
          std::int32_t t = quad.t + i < begin ? begin : quad.t + i;
          t = t < end ? t : end - 1;
          if (i == 0 && (slot < 0 || t >= next_start)) {
            slot = seg::find_owner(mine, t);
            next_start = seg::end_of(mine, slot, at.tokens.end);
          }
          while (t >= next_start) next_start = seg::end_of(mine, ++slot, at.tokens.end);
          quad.request[i] = at.first_request + slot;
          quad.terms[i] = seg::terms_of(mine, slot);
        }
      } else {
        NSAMETA_UNROLL
        for (int i = 0; i < 3; ++i) {
          quad.request[i] = quad.request[3];
          quad.terms[i] = quad.terms[3];
        }
      }
      quad.template store_all<kOutputs>(p);
    }
  }

  // Where no sum is needed: all requests have one query width.
  static NSAMETA_DEVICE request_terms terms_by_division(const params& p, std::int32_t query_width,
                                                        std::int32_t request) {
    const request_lengths lengths{not_negative(load_kv(p, request)), query_width};
    return make_terms(p, lengths, request * query_width, 0, 0);
  }

  // Tokens whose request follows from a division.
  static NSAMETA_DEVICE void write_by_division(const params& p, std::int32_t query_width, const range& tokens) {
    const formula::divider width = divide_by(query_width);
    token_quad<Rt> quad;
    quad.from = tokens.begin;
    quad.end = tokens.end;
    NSAMETA_NO_UNROLL
    for (std::int32_t tile = tokens.begin; tile < tokens.end; tile += kTile) {
      quad.t = tile + Rt::lane() * 4;
      if (quad.t >= tokens.end) continue;
      NSAMETA_UNROLL
      for (int i = 0; i < 4; ++i) {
        const std::int32_t request = divide(smaller(quad.t + i, tokens.end - 1), width);
        quad.request[i] = request;
        quad.terms[i] = terms_by_division(p, query_width, request);
      }
      quad.template store_all<kOutputs>(p);
    }
  }

  // This warp's part of `count` positions, in whole tiles.
  static NSAMETA_DEVICE range part_of(std::int32_t count, std::int32_t warp, std::int32_t all_warps) {
    const std::int64_t tiles = (std::int64_t{count} + kTile - 1) / kTile;
    const std::int64_t tiles_of_warp = (tiles + all_warps - 1) / all_warps;
    const std::int64_t begin = warp * tiles_of_warp * kTile;
    const std::int64_t end = begin + tiles_of_warp * kTile;
    return {static_cast<std::int32_t>(begin < count ? begin : count),
            static_cast<std::int32_t>(end < count ? end : count)};
  }

  static NSAMETA_DEVICE void write_tokens(length_smem& s, const params& p, std::int32_t query_width,
                                          const range& tokens) {
    if (tokens.begin >= tokens.end) return;
    if constexpr (kHasPrefixes) {
      typename seg::smem& mine = s.of_warp[Rt::warp()];
      cursor at = seek(s, mine, p, query_width, tokens.begin);
      std::int32_t begin = tokens.begin;
      for (;;) {
        write_in_segment(mine, p, at, begin, smaller(tokens.end, at.tokens.end));
        if (at.tokens.end >= tokens.end || at.first_request + seg::kRequests >= p.batch) return;
        begin = at.tokens.end;
        at = open_next(mine, p, query_width, at);
      }
    } else {
      write_by_division(p, query_width, tokens);
    }
  }

  // Values of the last token.
  static NSAMETA_DEVICE token_values last_values(length_smem& s, const params& p, std::int32_t query_width,
                                                 std::int32_t num_tokens) {
    const std::int32_t t = num_tokens - 1;
    token_values last;
    if constexpr (kHasPrefixes) {
      typename seg::smem& mine = s.of_warp[Rt::warp()];
      const cursor at = seek(s, mine, p, query_width, t);
      const int slot = seg::find_owner(mine, t);
      last = token_values::make<kOutputs>(p, t, at.first_request + slot, seg::terms_of(mine, slot));
      last.of[SPARSE_CU] = s.sums.total.sparse_keys;
    } else {
      const std::int32_t request = t / query_width;
      last = token_values::make<kOutputs>(p, t, request, terms_by_division(p, query_width, request));
    }
    return last;
  }

  // Rows of the tables and the flattened table.
  static NSAMETA_DEVICE void write_tables(const length_smem& s, const params& p, std::int32_t query_width,
                                          std::int32_t warp, std::int32_t all_warps) {
    if (p.slots_table.data == nullptr && p.page_table.data == nullptr && p.flattened == nullptr) return;
    const std::int64_t num_units = std::int64_t{p.batch} << p.slice_bits;
    const std::int32_t width = not_negative(query_width);
    NSAMETA_NO_UNROLL
    for (std::int64_t unit = warp; unit < num_units; unit += all_warps) {
      const auto request = static_cast<std::int32_t>(unit >> p.slice_bits);
      const std::int32_t slice = static_cast<std::int32_t>(unit) & ((1 << p.slice_bits) - 1);
      const thread_share mine{slice * Rt::kWarp + Rt::lane(), Rt::kWarp << p.slice_bits};
      prefix before{};
      if ((kRagged && p.tables_by_token != 0) || p.flattened != nullptr)
        before = chunks::sums_before(s.sums, p, query_width, request);
      table_request row{nullptr, not_negative(load_kv(p, request)), request, 1};
      if (p.tables_by_token != 0) {
        row.first_row = kRagged ? before.tokens : formula::saturate(std::int64_t{request} * width);
        row.num_rows = kRagged ? not_negative(load_q(p, request)) : width;
      }
      table_rows<Rt>::write(p, load_pool_row(p, request), row, mine);
      if (p.flattened != nullptr) table_rows<Rt>::write_flattened(p, row, exact_keys(before), mine);
    }
  }

  static NSAMETA_DEVICE void run_work(length_smem& s, const params& p, std::int32_t query_width) {
    const std::int32_t warp = work_block(p) * num_warps() + Rt::warp();
    const std::int32_t all_warps = num_work_blocks(p) * num_warps();
    if constexpr (kHasPrefixes) {
      chunks::sum(s.sums, p, query_width);
      Rt::sync_block();
      if (Rt::warp() == 0) chunks::scan(s.sums, p);
      Rt::sync_block();
    }
    const std::int32_t num_tokens = kRagged ? s.sums.total.tokens : constant_total(p, not_negative(query_width));
    write_tokens(s, p, query_width, part_of(smaller(num_tokens, p.max_token_capacity), warp, all_warps));
    if (!kSeedOnly && p.tail != NSAMETA_TAIL_KEEP && num_tokens > 0 && num_tokens < p.max_token_capacity) {
      const token_values last = last_values(s, p, query_width, num_tokens);
      store_tail<kOutputs>(p, num_tokens, last, warp * Rt::kWarp + Rt::lane(), all_warps * Rt::kWarp);
    }
    // Backwards: the last warps are the ones without tokens, if there are any.
    write_requests(s, p, query_width, all_warps - 1 - warp, all_warps);
    if constexpr (!kSeedOnly) write_context_lengths(p);
    if constexpr (kTables) write_tables(s, p, query_width, all_warps - 1 - warp, all_warps);
    if (work_block(p) == 0 && Rt::thread_idx() == 0) {
      write_total_tokens<Rt>(p, num_tokens);
      if constexpr (kKeys) store_token_output(p, SPARSE_CU, num_tokens, s.sums.total.sparse_keys);
    }
    if constexpr (kTables) write_behind_batch(s, p, query_width);
  }

  // What only the sums over the batch say, by the first block.
  static NSAMETA_DEVICE void write_behind_batch(const length_smem& s, const params& p, std::int32_t query_width) {
    if (work_block(p) != 0) return;
    if (Rt::thread_idx() == 0 && p.flattened != nullptr && exact_keys(s.sums.total) > p.flattened_capacity) {
      report_fault<Rt>(p, NSAMETA_CHECK_KEYS_OVER_CAPACITY, -1, exact_keys(s.sums.total));
    }
    if (p.batch == p.max_batch) return;
    prefix all = s.sums.total;
    if constexpr (!kRagged) all.tokens_wrapped = wrapped_product(p.batch, not_negative(query_width));
    store_request_tail(p, all, Rt::thread_idx(), Rt::block_dim());
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
