// The page tables' rows of one request: its row of req_to_token is read once and written to all its table rows. Some
// threads share a request; each takes every num_threads-th piece.
#pragma once

#include <cstdint>

#include "backends/simt/slots.h"

namespace nsameta::simt {

// A request as its table rows see it.
struct table_request {
  const std::int32_t* slots;  // its row of req_to_token; nullptr: every slot is -1
  std::int32_t kv;
  std::int32_t first_row;
  std::int32_t num_rows;
};

struct thread_share {
  std::int32_t thread;
  std::int32_t num_threads;
};

template <class Rt>
struct table_rows {
  using params = build_metadata_params;
  static constexpr int kAhead = 2;  // 16-byte pieces that a thread has under way

  // Rows of the request that the table has room for: all where the host knew how many there are.
  static NSAMETA_DEVICE std::int32_t rows_in(const params& p, const table_params& table, const table_request& r) {
    if (p.query_source == NSAMETA_QUERY_CONSTANT || p.tables_by_token == 0) return r.num_rows;
    const std::int32_t room = table.num_rows - r.first_row;
    return room < r.num_rows ? not_negative(room) : r.num_rows;
  }

  static NSAMETA_DEVICE void store_cell(const params& p, const table_params& table, const table_request& r,
                                        std::int32_t column, std::int32_t value) {
    const std::int32_t rows = rows_in(p, table, r);
    std::int32_t* to = table.data + r.first_row * table.row_stride + column * table.column_stride;
    NSAMETA_NO_UNROLL
    for (std::int32_t j = 0; j < rows; ++j) {
      *to = value;
      to += table.row_stride;
    }
  }

  // Cell by cell, whatever the strides; column c holds the slot of position c << shift, shifted back.
  static NSAMETA_DEVICE void write_cells(const params& p, const table_params& table, const table_request& r,
                                         std::int32_t end, int shift, std::int32_t first, std::int32_t step) {
    NSAMETA_NO_UNROLL
    for (std::int32_t c = first; c < end; c += step) {
      store_cell(p, table, r, c, slot_at(p, r.slots, c << shift) >> shift);
    }
  }

  // 16-byte pieces of a row that a thread has under way.
  struct pieces {
    typename Rt::quad values[kAhead];
    bool exists[kAhead];
  };

  // Columns c, c + step, ... below `end`.
  static NSAMETA_DEVICE pieces load_pieces(const std::int32_t* slots, std::int32_t c, std::int32_t end,
                                           std::int32_t step) {
    pieces loaded;
    NSAMETA_UNROLL
    for (int u = 0; u < kAhead; ++u) {
      loaded.exists[u] = u * step < end - c;
      if (loaded.exists[u]) loaded.values[u] = Rt::load128(slots + c + u * step);
    }
    return loaded;
  }

  // kRows: 0 where they are not known.
  template <int kRows>
  static NSAMETA_DEVICE void store_pieces(const pieces& loaded, std::int32_t* to, std::int64_t row_stride,
                                          std::int32_t step, std::int32_t rows) {
    NSAMETA_UNROLL
    for (std::int32_t j = 0; j < (kRows > 0 ? kRows : rows); ++j) {
      NSAMETA_UNROLL
      for (int u = 0; u < kAhead; ++u) {
        if (loaded.exists[u]) Rt::store128(to + u * step, loaded.values[u]);
      }
      to += row_stride;
    }
  }

  // Columns [0, end) of page_table_1, 16 bytes at a time; `end` is a multiple of 4 within max_context.
  static NSAMETA_DEVICE void copy_pieces(const table_params& table, const table_request& r, std::int32_t rows,
                                         std::int32_t end, const thread_share& mine) {
    const std::int32_t step = mine.num_threads * 4;
    std::int32_t* const to = table.data + r.first_row * table.row_stride;
    NSAMETA_NO_UNROLL
    for (std::int32_t c = mine.thread * 4; c < end; c += step * kAhead) {
      store_pieces<0>(load_pieces(r.slots, c, end, step), to + c, table.row_stride, step, rows);
    }
  }

  // The request's first row in a table whose strides fit into 32 bits.
  static NSAMETA_DEVICE std::int32_t* first_row(const table_params& table, const table_request& r) {
    return table.data +
           std::uint64_t{static_cast<std::uint32_t>(r.first_row)} * static_cast<std::uint32_t>(table.row_stride);
  }

  static NSAMETA_DEVICE void store_entry(const table_params& table, std::int32_t* to, std::int32_t rows,
                                         std::int32_t entry) {
    NSAMETA_NO_UNROLL
    for (std::int32_t j = 0; j < rows; ++j) {
      *to = entry;
      to += static_cast<std::uint32_t>(table.row_stride);
    }
  }

  template <int kRows>
  static NSAMETA_DEVICE void write_plain(const params& p, const table_request& r, const thread_share& mine) {
    const std::uint32_t live = live_columns(p, r.kv);
    const std::int32_t columns = columns_in(p.slots_table, live);
    const std::int32_t end = columns & ~3;
    const std::int32_t step = mine.num_threads * 4;
    std::int32_t c = mine.thread * 4;
    pieces loaded = load_pieces(r.slots, c, end, step);
    // The page that a thread begins with is on its way with the slots, and written behind them.
    const std::int32_t num_pages = columns_in(p.page_table, pages_below(p, live));
    std::int32_t page = mine.num_threads - 1 - mine.thread;  // threads with less of the slots get more of the pages
    std::int32_t slot = page < num_pages ? r.slots[page << p.page_shift] : 0;
    const std::int32_t rows = kRows > 0 ? kRows : rows_in(p, p.slots_table, r);
    std::int32_t* const to = first_row(p.slots_table, r);
    const auto row_stride = static_cast<std::uint32_t>(p.slots_table.row_stride);
    NSAMETA_NO_UNROLL
    while (c < end) {
      store_pieces<kRows>(loaded, to + c, row_stride, step, rows);
      c += step * kAhead;
      if (c < end) loaded = load_pieces(r.slots, c, end, step);
    }
    if (end + mine.thread < columns)
      store_entry(p.slots_table, to + end + mine.thread, rows, r.slots[end + mine.thread]);
    NSAMETA_NO_UNROLL
    while (page < num_pages) {
      store_entry(p.page_table, first_row(p.page_table, r) + page, rows_in(p, p.page_table, r), slot >> p.page_shift);
      page += mine.num_threads;
      if (page < num_pages) slot = r.slots[page << p.page_shift];
    }
  }

  // Whatever the strides, and wherever req_to_token ends.
  static NSAMETA_DEVICE void write_any(const params& p, const table_request& r, const thread_share& mine) {
    const std::uint32_t live = live_columns(p, r.kv);
    const std::int32_t columns = columns_in(p.slots_table, live);
    std::int32_t copied = 0;
    if (p.rows_are_wide != 0 && r.slots != nullptr) {
      copied = smaller(columns, p.max_context) & ~3;
      copy_pieces(p.slots_table, r, rows_in(p, p.slots_table, r), copied, mine);
    }
    write_cells(p, p.slots_table, r, columns, 0, copied + mine.thread, mine.num_threads);
    write_cells(p, p.page_table, r, columns_in(p.page_table, pages_below(p, live)), p.page_shift,
                mine.num_threads - 1 - mine.thread, mine.num_threads);
  }

  // Sets the request's row of req_to_token and writes its rows of the tables.
  static NSAMETA_DEVICE void write(const params& p, std::int64_t pool_row, table_request& r, const thread_share& mine) {
    if (p.rows_are_plain == 0 || !has_row(p, pool_row)) {
      r.slots = find_row(p, pool_row);
      return write_any(p, r, mine);
    }
    r.slots = p.req_to_token + std::uint64_t{static_cast<std::uint32_t>(pool_row)} *
                                   static_cast<std::uint32_t>(p.req_to_token_row_stride);
    if (r.num_rows == 4 && rows_in(p, p.slots_table, r) == 4) {
      write_plain<4>(p, r, mine);
    } else {
      write_plain<0>(p, r, mine);
    }
  }

  // The request's part of page_table_1_flattened; keys_before: the sum of kv over the requests before it.
  static NSAMETA_DEVICE void write_flattened(const params& p, const table_request& r, std::int64_t keys_before,
                                             const thread_share& mine) {
    const std::int64_t room = p.flattened_capacity - keys_before;
    const std::int32_t end = room < r.kv ? static_cast<std::int32_t>(room < 0 ? 0 : room) : r.kv;
    NSAMETA_NO_UNROLL
    for (std::int32_t c = mine.thread; c < end; c += mine.num_threads) {
      p.flattened[keys_before + c] = slot_at(p, r.slots, c);
    }
  }
};

}  // namespace nsameta::simt
