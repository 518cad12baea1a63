// build_metadata for up to kMaxStepRequests requests with tables, schedule or plan: what a decode step or a replay
// needs. Each block has one job and all that it takes: nobody waits for anybody.
//   schedule blocks   a row of the schedule a thread
//   one plan block    the top-k plan
//   length blocks     kNumLengthRoles warps a request, each with its own outputs (and num_slices of them for long
//   queries) copy blocks       1 << slice_bits for a request: its rows of the tables, its part of the flattened table
#pragma once

#include <cstdint>

#include "backends/simt/build_metadata_policy.h"
#include "backends/simt/mqa_schedule_step.h"
#include "backends/simt/request_groups.h"
#include "backends/simt/request_tail.h"
#include "backends/simt/table_rows.h"
#include "backends/simt/token_outputs.h"
#include "backends/simt/topk_plan.h"

namespace nsameta::simt {

// kGroups: groups of kWarp requests that hold the batch.
template <class Rt, int kGroups, bool kRagged, bool kKeys>
struct build_metadata_step {
  static constexpr int kBlock = kMaxStepBlock;
  using params = build_metadata_params;
  using groups = request_groups<Rt, kGroups, kRagged>;
  using schedule = mqa_schedule_step<Rt, kMaxStepRequests, kRagged>;
  using plan = topk_plan<Rt>;
  union smem {
    typename schedule::smem of_schedule;
    typename plan::smem of_plan;
  };

  // ---- lengths ------------------------------------------------------------------------------------------------------

  // What a warp of a length block works on.
  struct warp_task {
    std::int32_t request;
    std::int32_t slice;
    std::int32_t query_width;
    request_lengths lengths;
  };

  static NSAMETA_DEVICE request_lengths load_lengths(const params& p, std::int32_t request, std::int32_t query_width) {
    return {not_negative(load_kv(p, request)), not_negative(kRagged ? load_q(p, request) : query_width)};
  }

  static NSAMETA_DEVICE std::int32_t num_tokens_of(const params& p, std::int32_t query_width) {
    if constexpr (kRagged) return groups::queries_below(p, p.batch).capped;
    return constant_total(p, not_negative(query_width));
  }

  static NSAMETA_DEVICE void store_cu(const params& p, std::int32_t* output, std::int32_t request, std::int32_t before,
                                      std::int32_t own) {
    if (output == nullptr) return;
    output[request] = before;
    if (request == p.batch - 1) output[p.batch] = formula::wrap_add(before, own);
  }

  // Per-request outputs, T and the faults. What is read for the faults is on its way before anything waits.
  static NSAMETA_DEVICE void write_request(const params& p, const warp_task& task) {
    const std::int32_t r = task.request;
    const std::int32_t stored_kv = load_kv(p, r);
    const std::int32_t stored_q = kRagged ? load_q(p, r) : task.query_width;
    const bool has_slots = wants_slots(p);
    const std::int64_t pool_row = has_slots ? load_pool_row(p, r) : 0;
    const request_lengths lengths{not_negative(stored_kv), not_negative(stored_q)};
    std::int32_t keys = 0;
    std::int32_t queries = wrapped_product(r, lengths.q);
    if constexpr (kKeys) {
      if (r > 0 && p.cu_seqlens_k != nullptr)
        keys = groups::template sum_below<kKeyedOutputs>(p, r, task.query_width).keys;
    }
    if constexpr (kRagged) {
      if (p.cu_seqlens_q != nullptr) queries = groups::queries_below(p, r).wrapped;
    }
    for (std::int32_t column = Rt::lane(); p.ctx_lens != nullptr && column < p.ctx_lens_columns; column += Rt::kWarp) {
      p.ctx_lens[r * p.ctx_lens_row_stride + column] = lengths.kv;
    }
    if (Rt::lane() == 0) {
      if (p.cache_seqlens != nullptr) p.cache_seqlens[r] = lengths.kv;
      if constexpr (kKeys) store_cu(p, p.cu_seqlens_k, r, keys, lengths.kv);
      store_cu(p, p.cu_seqlens_q, r, queries, lengths.q);
      report_lengths<Rt>(p, r, stored_kv, stored_q);
      if (has_slots) report_slots<Rt>(p, r, pool_row, lengths.kv);
    }
    if (r != p.batch - 1) return;
    prefix all{};
    all.keys = formula::wrap_add(keys, lengths.kv);
    all.tokens_wrapped = formula::wrap_add(queries, lengths.q);
    write_totals(p, task.query_width, all);
  }

  static NSAMETA_DEVICE void write_totals(const params& p, std::int32_t query_width, const prefix& all) {
    const std::int32_t num_tokens = num_tokens_of(p, query_width);
    if (Rt::lane() == 0) write_total_tokens<Rt>(p, num_tokens);
    if (p.batch < p.max_batch) store_request_tail(p, all, Rt::lane(), Rt::kWarp);
  }

  // Positions behind the last token, by the warps of the request that it belongs to.
  template <unsigned kOutputs>
  static NSAMETA_DEVICE void write_token_tail(const params& p, const warp_task& task, std::int32_t start,
                                              std::int32_t all_sparse_keys, const request_terms& terms) {
    const std::int32_t num_tokens = num_tokens_of(p, task.query_width);
    if (task.lengths.q == 0 || saturating_add(start, task.lengths.q) != num_tokens) return;
    token_values last = token_values::make<kOutputs>(p, num_tokens - 1, task.request, terms);
    last.of[SPARSE_CU] = all_sparse_keys;
    store_tail<kOutputs>(p, num_tokens, last, task.slice * Rt::kWarp + Rt::lane(), p.num_slices * Rt::kWarp);
  }

  template <unsigned kOutputs>
  static NSAMETA_DEVICE void write_tokens(const params& p, const warp_task& task) {
    using totals = request_totals<Rt, kRagged, kOutputs>;
    totals before{};
    if ((kRagged || totals::kHasKeys || totals::kHasSparse) && task.request > 0) {
      before = groups::template sum_below<kOutputs>(p, task.request, task.query_width);
    }
    const std::int32_t width = smaller(not_negative(task.query_width), kMaxSmallQuery);
    const std::int32_t start = kRagged ? before.tokens : task.request * width;
    request_terms terms = make_terms(p, task.lengths, start, before.keys, before.sparse_keys);
    const std::int32_t end = smaller(task.lengths.q, p.max_token_capacity - smaller(start, p.max_token_capacity));
    NSAMETA_NO_UNROLL
    for (std::int32_t j = task.slice * Rt::kWarp + Rt::lane(); j < end; j += p.num_slices * Rt::kWarp) {
      store_token<kOutputs>(p, start + j, token_values::make<kOutputs>(p, start + j, task.request, terms));
    }
    const bool is_last = task.request == p.batch - 1;
    if (!(totals::kHasSparse && is_last) && p.tail == NSAMETA_TAIL_KEEP) return;
    const std::int32_t behind = formula::wrap_add(before.sparse_keys, totals::of(p, task.lengths).sparse_keys);
    if (totals::kHasSparse && is_last && task.slice == 0 && Rt::lane() == 0) {
      store_token_output(p, SPARSE_CU, saturating_add(start, smaller(task.lengths.q, kMaxSmallQuery)), behind);
    }
    if (p.tail != NSAMETA_TAIL_KEEP) write_token_tail<kOutputs>(p, task, start, behind, terms);
  }

  static NSAMETA_DEVICE void write_empty_batch(const params& p) {
    if (Rt::lane() == 0) {
      if (p.cu_seqlens_k != nullptr) p.cu_seqlens_k[0] = 0;
      if (p.cu_seqlens_q != nullptr) p.cu_seqlens_q[0] = 0;
      if constexpr (kKeys) store_token_output(p, SPARSE_CU, 0, 0);
    }
    write_totals(p, 0, {});
  }

  // `block` counts the length blocks.
  static NSAMETA_DEVICE void write_lengths(const params& p, std::int32_t query_width, std::int32_t block) {
    const std::int32_t part = block & ((1 << p.group_bits) - 1);
    const std::int32_t warp = part * (Rt::block_dim() / Rt::kWarp) + Rt::warp();
    const std::int32_t role = warp % kNumLengthRoles;
    warp_task task{warp / kNumLengthRoles, block >> p.group_bits, query_width, {}};
    if (p.batch == 0) {
      if (warp == 0 && task.slice == 0) write_empty_batch(p);
      return;
    }
    if (task.request >= p.batch) return;
    if (role == 0) {
      if (task.slice == 0) write_request(p, task);
      return;
    }
    task.lengths = load_lengths(p, task.request, query_width);
    if (role == 1) {
      write_tokens<kPlainOutputs | kSlotOutputs>(p, task);
    } else if constexpr (kKeys) {
      if (role == 2 && p.capacity[SPARSE_CU] > 0) write_tokens<kSummedOutputs>(p, task);
      if (role == 3 && p.capacity[OFFSET] + p.capacity[KEY_START] + p.capacity[KEY_END] > 0) {
        write_tokens<kKeyedOutputs>(p, task);
      }
    }
  }

  // ---- tables -------------------------------------------------------------------------------------------------------

  static NSAMETA_DEVICE void write_flattened(const params& p, std::int32_t request, const table_request& row,
                                             const thread_share& mine) {
    const std::int64_t before = groups::keys_below(p, request);
    table_rows<Rt>::write_flattened(p, row, before, mine);
    if (request == p.batch - 1 && mine.thread == 0 && before + row.kv > p.flattened_capacity) {
      report_fault<Rt>(p, NSAMETA_CHECK_KEYS_OVER_CAPACITY, -1, before + row.kv);
    }
  }

  // `block` counts the copy blocks.
  static NSAMETA_DEVICE void copy_rows(const params& p, std::int32_t query_width, std::int32_t block) {
    // A block has one request, but in scalar registers what follows would wait longer for each step.
    const std::int32_t request = Rt::per_lane(block >> p.slice_bits);
    if (request >= p.batch) return;
    const std::int32_t slice = block & ((1 << p.slice_bits) - 1);
    const thread_share mine{slice * Rt::block_dim() + Rt::thread_idx(), Rt::block_dim() << p.slice_bits};
    const std::int64_t pool_row = load_pool_row(p, request);
    const request_lengths lengths = load_lengths(p, request, query_width);
    table_request row{nullptr, lengths.kv, request, 1};
    if (p.tables_by_token != 0) {
      row.num_rows = lengths.q;
      if constexpr (kRagged) {
        row.first_row = groups::queries_below(p, request).capped;
      } else {
        row.first_row = request * smaller(lengths.q, kMaxSmallQuery);
      }
    }
    table_rows<Rt>::write(p, pool_row, row, mine);
    if (p.flattened != nullptr) write_flattened(p, request, row, mine);
    Rt::allow_next_launch();
  }

  static NSAMETA_DEVICE void run(smem& s, const params& p) {
    const std::int32_t block = Rt::block_idx();
    const std::int32_t query_width = load_query_width<kRagged>(p);
    if (block >= p.first_copy_block) {
      copy_rows(p, query_width, block - p.first_copy_block);
    } else if (block >= p.first_length_block) {
      write_lengths(p, query_width, block - p.first_length_block);
    } else if (block >= p.first_plan_block) {
      if (p.plan != nullptr) plan::template run<kRagged>(s.of_plan, p, query_width);
    } else if (p.schedule != nullptr) {
      schedule::run(s.of_schedule, p, query_width, block);
    }
  }
};

}  // namespace nsameta::simt
