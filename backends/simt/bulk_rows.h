// The page tables' rows of a plain step with long contexts, by a copy engine: rows of req_to_token go through shared
// memory in pieces of some 10 KB, which one thread of a block moves, while the others write real_page_table. Blocks
// have equal shares of all rows, however long each is.
#pragma once

#include <cstdint>

#include "backends/simt/table_rows.h"

namespace nsameta::simt {

// kRows: rows of a request; 0: given by the parameters. Rt::pipe: see backends/cuda/rt.h.
template <class Rt, int kRows>
struct bulk_rows {
  using params = build_metadata_params;
  using pipe = typename Rt::pipe;
  static constexpr std::int32_t kUnit = 128;  // columns; a share is a number of them
  static constexpr std::int32_t kPieceColumns = pipe::kBytes / 4;
  static constexpr int kMaxRequests = kMaxStepRequests;

  struct request_row {
    std::uint32_t pool_row;
    std::int32_t columns;  // of whole 16 bytes; 0 where the row does not exist
    std::int32_t num_pages;
  };

  // Columns of a request and units of later requests that are left of a share.
  struct share {
    std::int32_t request;
    std::int32_t column;
    std::int32_t end;
    std::int32_t units_left;
  };

  struct smem {
    typename pipe::smem of_pipe;
    request_row rows[kMaxRequests];
    std::int32_t num_units;  // of the block's share
    share first;
  };

  static NSAMETA_DEVICE std::int32_t units_of(const request_row& row) { return (row.columns + kUnit - 1) / kUnit; }

  // `num_units` from unit `begin` of a request on.
  static NSAMETA_DEVICE share make_share(const request_row& row, std::int32_t request, std::int32_t begin,
                                         std::int32_t num_units) {
    const std::int32_t units = smaller(units_of(row) - begin, num_units);
    return {request, begin * kUnit, smaller((begin + units) * kUnit, row.columns), num_units - units};
  }

  // To the next request that has columns; false where nothing is left.
  static NSAMETA_DEVICE bool advance(const smem& s, share& of) {
    if (of.units_left <= 0) return false;
    NSAMETA_NO_UNROLL
    do {
      ++of.request;
    } while (s.rows[of.request].columns == 0);
    of = make_share(s.rows[of.request], of.request, 0, of.units_left);
    return true;
  }

  static NSAMETA_DEVICE const std::int32_t* source(const params& p, const smem& s, std::int32_t request) {
    return p.req_to_token +
           std::uint64_t{s.rows[request].pool_row} * static_cast<std::uint32_t>(p.req_to_token_row_stride);
  }

  static NSAMETA_DEVICE std::int32_t num_rows(const params& p) {
    if constexpr (kRows > 0) return kRows;
    return p.tables_by_token != 0 ? p.query_width : 1;
  }

  static NSAMETA_DEVICE std::int32_t* target(const params& p, const table_params& table, std::int32_t request) {
    return table.data + std::uint64_t{static_cast<std::uint32_t>(request * num_rows(p))} *
                            static_cast<std::uint32_t>(table.row_stride);
  }

  // Pieces of a share, one after the other: loads know where they come from, stores where they go.
  template <class Address, class Find>
  struct pieces {
    const smem& s;
    share left;
    Address row;
    Find find;
    bool has_more = true;

    NSAMETA_DEVICE pieces(const smem& shared, Find find_row)
        : s(shared), left(shared.first), row(find_row(left.request)), find(find_row) {}

    // Calls use(address, bytes) for the next piece.
    template <class Use>
    NSAMETA_DEVICE void take(Use use) {
      const std::int32_t columns = smaller(left.end - left.column, kPieceColumns);
      use(row + left.column, columns * 4);
      left.column += columns;
      if (left.column < left.end) return;
      has_more = advance(s, left);
      if (has_more) row = find(left.request);
    }
  };

  // By one thread. A stage is filled again kLag pieces after its stores began.
  static NSAMETA_DEVICE void copy(const params& p, smem& s) {
    constexpr int kLag = pipe::kStages / 3;
    const auto find_source = [&p, &s](std::int32_t request) { return source(p, s, request); };
    const auto find_target = [&p](std::int32_t request) { return target(p, p.slots_table, request); };
    pieces<const std::int32_t*, decltype(find_source)> loads(s, find_source);
    pieces<std::int32_t*, decltype(find_target)> stores(s, find_target);
    const auto row_stride = static_cast<std::uint32_t>(p.slots_table.row_stride);
    const auto load_to = [&s, &loads](int stage) {
      loads.take([&](const std::int32_t* from, std::int32_t bytes) { pipe::load(s.of_pipe, stage, from, bytes); });
    };
    NSAMETA_NO_UNROLL
    for (int stage = 0; stage < pipe::kStages && loads.has_more; ++stage) load_to(stage);
    int stage = 0;
    int refill = -kLag;
    unsigned parity = 0;
    NSAMETA_NO_UNROLL
    while (stores.has_more) {
      pipe::wait_loaded(s.of_pipe, stage, parity);
      stores.take([&](std::int32_t* to, std::int32_t bytes) {
        NSAMETA_UNROLL
        for (std::int32_t row = 0; row < (kRows > 0 ? kRows : num_rows(p)); ++row) {
          pipe::store(s.of_pipe, stage, to, bytes);
          to += row_stride;
        }
      });
      pipe::commit(s.of_pipe);
      if (refill >= 0 && loads.has_more) {
        pipe::template wait_read<kLag>(s.of_pipe);
        load_to(refill);
      }
      if (++refill == pipe::kStages) refill = 0;
      if (++stage == pipe::kStages) {
        stage = 0;
        parity ^= 1U;
      }
    }
    pipe::wait_all(s.of_pipe);
  }

  // Threads that write pages: all but those of the first warp.
  static NSAMETA_DEVICE thread_share page_writer() {
    return {Rt::thread_idx() - Rt::kWarp, Rt::block_dim() - Rt::kWarp};
  }

  // Pages [first, end) of a request.
  static NSAMETA_DEVICE void write_pages_of(const params& p, const smem& s, std::int32_t request, std::int32_t first,
                                            std::int32_t end) {
    constexpr int kAhead = 4;
    const thread_share mine = page_writer();
    const auto row_stride = static_cast<std::uint32_t>(p.page_table.row_stride);
    const std::int32_t* const from = source(p, s, request);
    std::int32_t* const to = target(p, p.page_table, request);
    NSAMETA_NO_UNROLL
    for (std::int32_t page = first + mine.thread; page < end; page += mine.num_threads * kAhead) {
      std::int32_t entry[kAhead];
      NSAMETA_UNROLL
      for (int u = 0; u < kAhead; ++u) {
        const std::int32_t at = page + u * mine.num_threads;
        if (at < end) entry[u] = from[at << p.page_shift] >> p.page_shift;
      }
      NSAMETA_UNROLL
      for (int u = 0; u < kAhead; ++u) {
        const std::int32_t at = page + u * mine.num_threads;
        if (at >= end) continue;
        std::int32_t* cell = to + at;
        NSAMETA_UNROLL
        for (std::int32_t row = 0; row < (kRows > 0 ? kRows : num_rows(p)); ++row) {
          *cell = entry[u];
          cell += row_stride;
        }
      }
    }
  }

  // The pages that begin in a share; behind a request's last column, all that it has left.
  static NSAMETA_DEVICE void write_pages(const params& p, const smem& s) {
    const std::int32_t page_size = 1 << p.page_shift;
    share of = s.first;
    NSAMETA_NO_UNROLL
    do {
      const request_row row = s.rows[of.request];
      const std::int32_t first = (of.column + page_size - 1) >> p.page_shift;
      const std::int32_t end = (of.end + page_size - 1) >> p.page_shift;
      write_pages_of(p, s, of.request, first, of.end == row.columns ? row.num_pages : smaller(end, row.num_pages));
    } while (advance(s, of));
  }
};

// Shared memory of a kernel that may copy so.
template <class Rt, int kRows, bool kBulk>
struct bulk_smem_of {
  struct type {};
};
template <class Rt, int kRows>
struct bulk_smem_of<Rt, kRows, true> {
  using type = typename bulk_rows<Rt, kRows>::smem;
};

}  // namespace nsameta::simt
