// build_metadata for what most replays of decode and verify steps are (is_plain_step): one query width that the host
// knows, no tails, and tables whose rows are copied 16 bytes at a time. Each block has one job and all that it takes:
//   schedule blocks   a row of the schedule a thread
//   one plan block    the top-k plan
//   two sum blocks    nsa_cu_seqlens_k; cu_seqlens_k and cache_seqlens: a request a thread
//   token blocks      outputs that need no sum: a token a thread
//   copy blocks       1 << thread_bits threads for a request: its rows of the tables; or, with kBulk, equal shares
// A block is straight code up to its first stores: every hundred instructions there cost a launch 0.25 us, and every
// branch keeps the compiler from moving what follows under the loads (H200, 2026-11-24).
#pragma once

#include <cstdint>

#include "backends/simt/build_metadata_policy.h"
#include "backends/simt/bulk_rows.h"
#include "backends/simt/mqa_schedule_step.h"
#include "backends/simt/table_rows.h"
#include "backends/simt/token_outputs.h"
#include "backends/simt/topk_plan.h"

namespace nsameta::simt {

// kWidth: tokens of a request, which are also its rows in the tables; 0: given by the parameters.
template <class Rt, int kWidth, bool kBulk>
struct build_metadata_plain {
  static constexpr int kBlock = kMaxStepBlock;
  static constexpr int kMaxWarps = kBlock / Rt::kWarp;
  static constexpr std::uint32_t kAhead = 2;  // 16-byte pieces that a thread has under way
  using params = build_metadata_params;
  using schedule = mqa_schedule_step<Rt, kMaxStepRequests, false>;
  using plan = topk_plan<Rt>;
  struct smem {
    union {
      typename schedule::smem of_schedule;
      typename plan::smem of_plan;
      std::int32_t sum_of_warp[kMaxWarps];
    };
    typename bulk_smem_of<Rt, kWidth, kBulk>::type of_rows;
  };

  // ---- sums ---------------------------------------------------------------------------------------------------------

  // Sum over the threads before this one, modulo 2^32, and over all; with up to kWarp requests the first warp alone is
  // right. Every thread of the block calls.
  static NSAMETA_DEVICE std::int32_t sum_before(smem& s, const params& p, std::int32_t value, std::int32_t& total) {
    std::int32_t sum = value;
    NSAMETA_UNROLL
    for (int distance = 1; distance < Rt::kWarp; distance *= 2) {
      const std::int32_t below = Rt::shfl_up(sum, distance);
      if (Rt::lane() >= distance) sum = formula::wrap_add(sum, below);
    }
    total = Rt::shfl(sum, Rt::kWarp - 1);
    if (p.batch > Rt::kWarp) {
      if (Rt::lane() == Rt::kWarp - 1) s.sum_of_warp[Rt::warp()] = sum;
      Rt::sync_block();
      total = 0;
      NSAMETA_UNROLL
      for (int warp = 0; warp < kMaxWarps; ++warp) {
        if (warp < Rt::warp()) sum = formula::wrap_add(sum, s.sum_of_warp[warp]);
        total = formula::wrap_add(total, s.sum_of_warp[warp]);
      }
    }
    return formula::wrap_sub(sum, value);
  }

  static NSAMETA_DEVICE std::int32_t sum_before(smem& s, const params& p, std::int32_t value) {
    std::int32_t total = 0;
    return sum_before(s, p, value, total);
  }

  static NSAMETA_DEVICE void write_key_sums(smem& s, const params& p) {
    const std::int32_t request = Rt::thread_idx();
    const bool exists = request < p.batch;
    const std::int32_t kv = exists ? not_negative(load_kv(p, request)) : 0;
    if (exists && p.cache_seqlens != nullptr) p.cache_seqlens[request] = kv;
    if (p.cu_seqlens_k == nullptr) return;
    const std::int32_t before = sum_before(s, p, kv);
    if (!exists) return;
    p.cu_seqlens_k[request] = before;
    if (request == p.batch - 1) p.cu_seqlens_k[p.batch] = formula::wrap_add(before, kv);
  }

  static NSAMETA_DEVICE void write_sparse_sums(smem& s, const params& p) {
    if (p.capacity[SPARSE_CU] == 0) return;
    const std::int32_t request = Rt::thread_idx();
    const bool exists = request < p.batch;
    const request_lengths lengths{exists ? not_negative(load_kv(p, request)) : 0, p.query_width};
    const std::int32_t own = exists ? sparse_keys_of(p, lengths) : 0;
    std::int32_t sum = sum_before(s, p, own);
    if (!exists) return;
    std::int32_t* const to = p.token_data[SPARSE_CU] + request * p.query_width;
    if (request == p.batch - 1) to[p.query_width] = formula::wrap_add(sum, own);
    std::int32_t visible = formula::wrap_sub(lengths.kv, p.query_width);
    const auto next = [&] {
      const std::int32_t before = sum;
      visible = formula::wrap_add(visible, 1);
      const bool is_padding = p.clamp != 0 && visible < 0;
      sum = formula::wrap_add(sum, is_padding ? 0 : formula::dsa(visible, p.sparsity));
      return before;
    };
    if (kWidth == 4 && (p.is_aligned >> SPARSE_CU & 1U) != 0) {
      const std::int32_t a = next();
      const std::int32_t b = next();
      const std::int32_t c = next();
      return Rt::store128(to, a, b, c, next());
    }
    NSAMETA_NO_UNROLL
    for (std::int32_t j = 0; j < p.query_width; ++j) to[j] = next();
  }

  // ---- outputs without sums -----------------------------------------------------------------------------------------

  // `block` counts the token blocks: a token a thread, and a cell of paged_mqa_ctx_lens_2d.
  static NSAMETA_DEVICE void write_tokens(const params& p, std::int32_t block) {
    const std::int32_t t = block * kBlock + Rt::thread_idx();
    const std::int32_t request = kWidth > 0 ? t / kWidth : divide(t, p.width);
    if (request >= p.batch) return;
    const std::int32_t stored_kv = load_kv(p, request);
    const std::int32_t kv = not_negative(stored_kv);
    const std::int32_t j = t - request * p.query_width;
    const std::int32_t visible = formula::visible(kv, p.query_width, j, p.clamp != 0);
    if (p.capacity[EXPANDED] != 0) p.token_data[EXPANDED][t] = visible;
    if (p.capacity[SPARSE] != 0) p.token_data[SPARSE][t] = formula::dsa(visible, p.sparsity);
    NSAMETA_NO_UNROLL
    for (std::int32_t column = j; p.ctx_lens != nullptr && column < p.ctx_lens_columns; column += p.query_width) {
      p.ctx_lens[request * p.ctx_lens_row_stride + column] = kv;
    }
    if (j == 0) report_lengths<Rt>(p, request, stored_kv, p.query_width);
  }

  // ---- tables -------------------------------------------------------------------------------------------------------

  // A row of req_to_token that may not exist.
  struct pool_row {
    std::uint32_t number;
    bool exists;
  };

  // One multiplication, since strides of a plain step are not negative.
  static NSAMETA_DEVICE const std::int32_t* element(const strided_lengths& of, std::int32_t request) {
    return reinterpret_cast<const std::int32_t*>(of.data + std::uint64_t{static_cast<std::uint32_t>(request)} *
                                                               static_cast<std::uint32_t>(of.stride_bytes));
  }

  static NSAMETA_DEVICE pool_row load_plain_pool_row(const params& p, std::int32_t request) {
    const std::int32_t* const words = element(p.pool_rows, request);
    const std::int32_t is_int64 = p.pool_rows_are_int64;
    const auto low = static_cast<std::uint32_t>(words[0]);
    const std::int32_t high = words[is_int64] & -is_int64;
    return {low, high == 0 && low < static_cast<std::uint32_t>(p.num_pool_rows)};
  }

  static NSAMETA_DEVICE std::int32_t num_rows(const params& p) {
    if constexpr (kWidth > 0) return kWidth;
    return p.tables_by_token != 0 ? p.query_width : 1;
  }

  // Of a plain step: fits into 32 bits.
  static NSAMETA_DEVICE std::uint32_t stride(std::int64_t row_stride) { return static_cast<std::uint32_t>(row_stride); }

  static NSAMETA_DEVICE std::uint64_t place(std::uint32_t row, std::int64_t row_stride, std::uint32_t column) {
    return std::uint64_t{row} * stride(row_stride) + column;
  }

  // Stores to the request's rows, one after the other.
  template <class Store>
  static NSAMETA_DEVICE void for_each_row(const params& p, std::int32_t* to, std::int64_t row_stride, Store store) {
    constexpr std::int32_t kKnown = kWidth > 0 ? kWidth : 1;
    NSAMETA_NO_UNROLL
    for (std::int32_t row = 0; row < num_rows(p); row += kKnown) {
      NSAMETA_UNROLL
      for (std::int32_t i = 0; i < kKnown; ++i) {
        store(to);
        to += stride(row_stride);
      }
    }
  }

  static NSAMETA_DEVICE void store_page(const params& p, std::int32_t* to, std::int32_t entry) {
    for_each_row(p, to, p.page_table.row_stride, [entry](std::int32_t* cell) { *cell = entry; });
  }

  // Pieces that a thread has under way: of columns c, c + step, ... below `columns`.
  struct pieces {
    typename Rt::quad values[kAhead];
    bool exists[kAhead];

    static NSAMETA_DEVICE pieces load(const std::int32_t* from, std::uint32_t c, std::uint32_t step,
                                      std::uint32_t columns, bool row_exists) {
      pieces loaded;
      NSAMETA_UNROLL
      for (std::uint32_t u = 0; u < kAhead; ++u) {
        loaded.exists[u] = static_cast<int>(c + u * step + 3 < columns) & static_cast<int>(row_exists);
        loaded.values[u] = Rt::load128_if(from + u * step, loaded.exists[u]);
      }
      return loaded;
    }

    NSAMETA_DEVICE void store(const params& p, std::int32_t* to, std::uint32_t step) const {
      NSAMETA_UNROLL
      for (std::uint32_t u = 0; u < kAhead; ++u) {
        if (!exists[u]) continue;
        for_each_row(p, to + u * step, p.slots_table.row_stride,
                     [this, u](std::int32_t* cells) { Rt::store128_streaming(cells, values[u]); });
      }
    }
  };

  // What few requests have: a row of req_to_token that does not exist, for which every slot is -1; a context beyond it;
  // columns behind the last whole piece.
  static NSAMETA_DEVICE void write_rest(const params& p, std::int32_t request, std::int32_t kv, const pool_row& row,
                                        const thread_share& mine) {
    if (mine.thread == 0) report_slots<Rt>(p, request, load_pool_row(p, request), kv);
    table_request r{nullptr, kv, request * num_rows(p), num_rows(p)};
    if (!row.exists) return table_rows<Rt>::write_any(p, r, mine);
    r.slots = p.req_to_token + place(row.number, p.req_to_token_row_stride, 0);
    const std::int32_t columns = columns_in(p.slots_table, live_columns(p, kv));
    table_rows<Rt>::write_cells(p, p.slots_table, r, columns, 0, (columns & ~3) + mine.thread, mine.num_threads);
  }

  // nullptr where the table is not wanted.
  static NSAMETA_DEVICE std::int32_t* cell_of(const table_params& table, std::uint32_t row, std::uint32_t column) {
    return table.data != nullptr ? table.data + place(row, table.row_stride, column) : nullptr;
  }

  // `block` counts the copy blocks.
  static NSAMETA_DEVICE void copy_rows(const params& p, std::int32_t block) {
    const auto index = static_cast<std::uint32_t>(block * kBlock + Rt::thread_idx());
    const auto request = static_cast<std::int32_t>(index >> p.thread_bits);
    if (request >= p.batch) return;
    const std::uint32_t num_threads = 1U << p.thread_bits;
    const std::uint32_t thread = index & (num_threads - 1);
    const std::uint32_t step = num_threads * 4;
    std::uint32_t c = thread * 4;
    std::uint32_t page = num_threads - 1 - thread;  // threads with less of the slots get more of the pages
    const std::int32_t kv = not_negative(formula::wrap_add(*element(p.seq_lens, request), p.kv_offset));
    const pool_row row = load_plain_pool_row(p, request);

    const std::uint32_t live = live_columns(p, kv);
    const auto columns = static_cast<std::uint32_t>(columns_in(p.slots_table, live));
    const std::int32_t* from = p.req_to_token + place(row.number, p.req_to_token_row_stride, c);
    pieces loaded = pieces::load(from, c, step, columns, row.exists);
    const auto num_pages = static_cast<std::uint32_t>(columns_in(p.page_table, pages_below(p, live)));
    const std::int32_t* page_from = p.req_to_token + place(row.number, p.req_to_token_row_stride, page << p.page_shift);
    const bool has_page = static_cast<int>(page < num_pages) & static_cast<int>(row.exists);
    const std::int32_t slot = Rt::load_if(page_from, has_page);

    const auto first_row = static_cast<std::uint32_t>(request * num_rows(p));
    std::int32_t* to = cell_of(p.slots_table, first_row, c);
    std::int32_t* page_to = cell_of(p.page_table, first_row, page);
    loaded.store(p, to, step);
    if (has_page) store_page(p, page_to, slot >> p.page_shift);
    Rt::allow_next_launch();  // earlier, it would take the places of this launch's own blocks

    if (kv > p.max_context || (columns & 3U) != 0 || !row.exists) {
      write_rest(p, request, kv, row, {static_cast<std::int32_t>(thread), static_cast<std::int32_t>(num_threads)});
    }
    if (!row.exists) return;
    NSAMETA_NO_UNROLL
    for (c += kAhead * step; c + 3 < columns; c += kAhead * step) {
      from += kAhead * step;
      to += kAhead * step;
      pieces::load(from, c, step, columns, true).store(p, to, step);
    }
    NSAMETA_NO_UNROLL
    for (page += num_threads; page < num_pages; page += num_threads) {
      page_from += num_threads << p.page_shift;
      page_to += num_threads;
      store_page(p, page_to, *page_from >> p.page_shift);
    }
  }

  // All rows in equal shares, by the copy engine; `block` counts the copy blocks.
  static NSAMETA_DEVICE void copy_shares(smem& s, const params& p, std::int32_t block) {
    using rows = bulk_rows<Rt, kWidth>;
    Rt::allow_next_launch();
    const std::int32_t request = Rt::thread_idx();
    typename rows::request_row mine{};
    if (request < p.batch) {
      const std::int32_t kv = not_negative(load_kv(p, request));
      const pool_row row = load_plain_pool_row(p, request);
      const std::uint32_t live = live_columns(p, kv);
      mine = {row.number, row.exists ? columns_in(p.slots_table, live) & ~3 : 0,
              columns_in(p.page_table, pages_below(p, live))};
      s.of_rows.rows[request] = mine;
    }
    const std::int32_t units = rows::units_of(mine);
    std::int32_t total = 0;
    const std::int32_t before = sum_before(s, p, units, total);
    const std::int32_t num_blocks = Rt::grid_dim() - p.first_copy_block;
    const std::int32_t share = (total + num_blocks - 1) / num_blocks;
    const std::int32_t begin = smaller(block * share, total);
    const std::int32_t num_units = smaller(share, total - begin);
    if (before <= begin && begin < before + units) {
      s.of_rows.first = rows::make_share(mine, request, begin - before, num_units);
    }
    if (request == 0) {
      s.of_rows.num_units = num_units;
      rows::pipe::init(s.of_rows.of_pipe);
    }
    Rt::sync_block();
    if (Rt::warp() == 0) {
      if (Rt::thread_idx() == 0 && num_units > 0) rows::copy(p, s.of_rows);
      return;
    }
    if (s.of_rows.num_units > 0) rows::write_pages(p, s.of_rows);
    for (std::int32_t r = block; r < p.batch; r += num_blocks) {
      const std::int32_t kv = not_negative(load_kv(p, r));
      const pool_row row = load_plain_pool_row(p, r);
      const auto columns = static_cast<std::uint32_t>(columns_in(p.slots_table, live_columns(p, kv)));
      if (kv > p.max_context || (columns & 3U) != 0 || !row.exists) write_rest(p, r, kv, row, rows::page_writer());
      if (row.exists && columns < 4) rows::write_pages_of(p, s.of_rows, r, 0, s.of_rows.rows[r].num_pages);
    }
  }

  // ---- all ----------------------------------------------------------------------------------------------------------

  static NSAMETA_DEVICE void run(smem& s, const params& given) {
    params p = given;  // of which the compiler sees what is_plain_step says
    set_plain_step(p);
    if constexpr (kWidth > 0) p.query_width = kWidth;
    const std::int32_t block = Rt::block_idx();
    if (block >= p.first_copy_block) {
      if constexpr (kBulk) {
        return copy_shares(s, p, block - p.first_copy_block);
      } else {
        return copy_rows(p, block - p.first_copy_block);
      }
    }
    Rt::allow_next_launch();  // these blocks are few; what it waits for are the copy blocks
    const std::int32_t length_block = block - p.first_length_block;
    if (length_block >= kNumSumBlocks) {
      write_tokens(p, length_block - kNumSumBlocks);
    } else if (length_block == 1) {
      write_key_sums(s, p);
    } else if (length_block == 0) {
      write_sparse_sums(s, p);
    } else if (block >= p.first_plan_block) {
      if (p.plan != nullptr) plan::template run<false>(s.of_plan, p, p.query_width);
    } else if (p.schedule != nullptr) {
      schedule::run(s.of_schedule, p, p.query_width, block);
    }
  }
};

}  // namespace nsameta::simt
