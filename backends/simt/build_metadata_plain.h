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
#include "backends/simt/plain_rows.h"
#include "backends/simt/token_outputs.h"
#include "backends/simt/topk_plan.h"

namespace nsameta::simt {

// kWidth: tokens of a request, which are also its rows in the tables; 0: given by the parameters.
template <class Rt, int kWidth, bool kBulk>
struct build_metadata_plain {
  static constexpr int kBlock = kMaxStepBlock;
  static constexpr int kMaxWarps = kBlock / Rt::kWarp;
  using params = build_metadata_params;
  using rows_by_threads = plain_rows<Rt, kWidth>;
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

  // All rows in equal shares, by the copy engine; `block` counts the copy blocks.
  static NSAMETA_DEVICE void copy_shares(smem& s, const params& p, std::int32_t block) {
    using rows = bulk_rows<Rt, kWidth>;
    Rt::allow_next_launch();
    const std::int32_t request = Rt::thread_idx();
    typename rows::request_row mine{};
    if (request < p.batch) {
      const std::int32_t kv = not_negative(load_kv(p, request));
      const auto row = rows_by_threads::load_row(p, request);
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
      const auto row = rows_by_threads::load_row(p, r);
      const auto columns = static_cast<std::uint32_t>(columns_in(p.slots_table, live_columns(p, kv)));
      if (kv > p.max_context || (columns & 3U) != 0 || !row.exists)
        rows_by_threads::write_rest(p, r, kv, row, rows::page_writer());
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
        return rows_by_threads::copy_rows(p, block - p.first_copy_block);
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
