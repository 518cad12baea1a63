// The rows of a plain step's tables, copied 16 bytes at a time by 1 << thread_bits threads for each request.
#pragma once

#include <cstdint>

#include "backends/simt/build_metadata_policy.h"
#include "backends/simt/table_rows.h"

namespace nsameta::simt {

// kWidth: see build_metadata_plain.
template <class Rt, int kWidth>
struct plain_rows {
  static constexpr int kBlock = kMaxStepBlock;
  static constexpr std::uint32_t kAhead = 2;  // 16-byte pieces that a thread has under way
  using params = build_metadata_params;

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

  static NSAMETA_DEVICE pool_row load_row(const params& p, std::int32_t request) {
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
    const pool_row row = load_row(p, request);

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
};

}  // namespace nsameta::simt
