// map_topk_to_slots: a block serves a token at a time, so that num_valid is one sum over the block. Each thread takes
// four neighbouring indices a step where rows are aligned, one otherwise, and asks for the first of them before it
// looks for the token's row of the table. All threads of a block look for the same row: the search of cu_seqlens_q is
// shared among the lanes of each warp.
#pragma once

#include <cstdint>

#include "core/backend.h"
#include "core/fault.h"

namespace nsameta::simt {

struct map_topk_to_slots_params {
  nsameta_map_topk_to_slots_desc desc;
  std::uint64_t* fault_word;
};

// kWide: indices a step, 4 or 1. kTable: false where slots are indices.
template <class Rt, int kWide, bool kTable>
struct map_topk_to_slots {
  static constexpr int kBlock = 512;
  using params = map_topk_to_slots_params;
  struct smem {
    std::int32_t num_valid[kBlock / Rt::kWarp];
  };

  // The row of the table that a token looks up.
  struct table_row {
    const std::int32_t* cells;
    std::int64_t num_columns;
    std::uint64_t fault;  // why there is none, else 0
  };

  // What a thread saw of a row.
  struct tally {
    std::int32_t num_valid = 0;
    bool has_bad_index = false;
    std::int64_t bad_index = 0;
  };

  static NSAMETA_DEVICE std::int32_t read32(const nsameta_lengths& vector, std::int64_t i) {
    return static_cast<const std::int32_t*>(vector.data)[i * vector.stride];
  }

  // The request of a token: the first whose tokens end beyond it; num_requests when there is none. All lanes call it.
  static NSAMETA_DEVICE std::int64_t owner_of(const nsameta_map_topk_to_slots_desc& d, std::int64_t token) {
    std::int64_t low = 0;
    std::int64_t high = d.num_requests;
    while (low < high) {
      const std::int64_t step = (high - low + Rt::kWarp - 1) / Rt::kWarp;
      const std::int64_t probe = low + (Rt::lane() + 1) * step - 1;
      const bool is_before = probe < high && read32(d.cu_seqlens_q, probe + 1) <= token;
      const int num_before = Rt::last_bit(Rt::ballot(is_before)) + 1;
      const std::int64_t end = low + (num_before + 1) * step - 1;
      low += num_before * step;
      high = num_before < Rt::kWarp && end < high ? end : high;
    }
    return low;
  }

  static NSAMETA_DEVICE table_row no_row(std::int64_t request, std::int64_t value) {
    return {nullptr, 0, nsameta::fault_word(NSAMETA_CHECK_POOL_ROW, request, value)};
  }

  static NSAMETA_DEVICE table_row find_row(const nsameta_map_topk_to_slots_desc& d, std::int64_t token) {
    const nsameta_matrix& table = d.table;
    if (d.source == NSAMETA_SLOTS_OF_TOKEN) return {table.data + token * table.row_stride, table.num_columns, 0};
    if (d.source != NSAMETA_SLOTS_OF_REQUEST) return {table.data, table.num_columns, 0};
    const std::int64_t request =
        d.token_to_batch.data != nullptr ? read32(d.token_to_batch, token) : owner_of(d, token);
    if (request < 0 || request >= d.num_requests) return no_row(-1, request);
    const std::int64_t at = request * d.req_pool_indices.stride;
    const std::int64_t row = d.req_pool_indices.dtype == NSAMETA_INT64
                                 ? static_cast<const std::int64_t*>(d.req_pool_indices.data)[at]
                                 : static_cast<const std::int32_t*>(d.req_pool_indices.data)[at];
    if (row < 0 || row >= table.num_rows) return no_row(request, row);
    return {table.data + row * table.row_stride, table.num_columns, 0};
  }

  static NSAMETA_DEVICE std::int32_t slot_of(const table_row& row, std::int64_t column_stride, std::int32_t x,
                                             std::int64_t offset, tally* seen) {
    if (x < 0) return -1;
    const std::int64_t index = x + offset;
    if constexpr (kTable) {
      if (index >= 0 && index < row.num_columns) return row.cells[index * column_stride];
      seen->has_bad_index = true;
      seen->bad_index = index;
      return -1;
    }
    return static_cast<std::int32_t>(index);
  }

  static NSAMETA_DEVICE void load(const std::int32_t* from, std::int32_t* values) {
    if constexpr (kWide == 4) {
      Rt::load128(from, values);
    } else {
      values[0] = from[0];
    }
  }

  static NSAMETA_DEVICE void store(std::int32_t* to, const std::int32_t* values) {
    if constexpr (kWide == 4) {
      Rt::store128(to, values[0], values[1], values[2], values[3]);
    } else {
      to[0] = values[0];
    }
  }

  // The sum over the block, in thread 0. All threads call it.
  static NSAMETA_DEVICE std::int32_t sum_over_block(smem& shared, std::int32_t value) {
    const std::int32_t sum = Rt::reduce_add(value);
    const int num_warps = Rt::block_dim() / Rt::kWarp;
    if (num_warps == 1) return sum;
    if (Rt::lane() == 0) shared.num_valid[Rt::warp()] = sum;
    Rt::sync_block();
    const std::int32_t part = Rt::lane() < num_warps ? shared.num_valid[Rt::lane()] : 0;
    const std::int32_t total = Rt::reduce_add(part);
    Rt::sync_block();  // the next token writes there
    return total;
  }

  static NSAMETA_DEVICE void map_row(smem& shared, const params& p, std::int64_t token) {
    const nsameta_map_topk_to_slots_desc& d = p.desc;
    const std::int32_t* topk = d.topk_indices + token * d.topk_row_stride;
    std::int32_t* slots = d.slots + token * d.slots_row_stride;
    const std::int64_t step = std::int64_t{Rt::block_dim()} * kWide;
    std::int64_t column = std::int64_t{Rt::thread_idx()} * kWide;
    std::int32_t values[kWide];
    if (column < d.num_topk) load(topk + column, values);
    const std::int64_t offset = d.offset.data != nullptr ? read32(d.offset, token) : 0;
    table_row row{};
    if constexpr (kTable) row = find_row(d, token);
    tally seen;
    while (column < d.num_topk) {
      NSAMETA_UNROLL
      for (int j = 0; j < kWide; ++j) {
        values[j] = slot_of(row, d.table.column_stride, values[j], offset, &seen);
        seen.num_valid += values[j] != -1 ? 1 : 0;
      }
      store(slots + column, values);
      column += step;
      if (column < d.num_topk) load(topk + column, values);
    }
    if constexpr (kTable) {
      const auto bad_lanes = Rt::ballot(seen.has_bad_index);
      if (bad_lanes != 0 && Rt::lane() == Rt::last_bit(bad_lanes)) {
        const std::uint64_t bad_index = nsameta::fault_word(NSAMETA_CHECK_TOPK_INDEX, token, seen.bad_index);
        Rt::report(p.fault_word, row.fault != 0 ? row.fault : bad_index);
      }
    }
    if (d.num_valid == nullptr) return;
    const std::int32_t num_valid = sum_over_block(shared, seen.num_valid);
    if (Rt::thread_idx() == 0) d.num_valid[token] = num_valid;
  }

  static NSAMETA_DEVICE void run(smem& shared, const params& p) {
    for (std::int64_t token = Rt::block_idx(); token < p.desc.num_tokens; token += Rt::grid_dim()) {
      map_row(shared, p, token);
    }
  }
};

}  // namespace nsameta::simt
