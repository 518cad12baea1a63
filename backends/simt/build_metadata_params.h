// What the build_metadata kernels read: a checked descriptor, reshaped on the host so that the kernels only add.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/backend.h"
#include "core/formula.h"

namespace nsameta::simt {

// int32 elements at any stride. An int64 vector is read as the low words of its elements: truncation costs nothing.
struct strided_lengths {
  const char* data;
  std::int32_t stride_bytes;
};

enum token_output : int {
  EXPANDED,   // seqlens_expanded
  SPARSE,     // nsa_cache_seqlens
  SPARSE_CU,  // nsa_cu_seqlens_k
  REQUEST,    // token_to_batch_idx
  POSITION,   // positions
  OFFSET,     // topk_indices_offset
  KEY_START,  // indexer_ks
  KEY_END,    // indexer_ke
  SLOT,       // out_slots
  kNumTokenOutputs
};

// A page table that is written.
struct table_params {
  std::int32_t* data;  // nullptr: not wanted
  std::int64_t row_stride;
  std::int64_t column_stride;
  std::int32_t num_rows;
  std::int32_t num_columns;
};

// Elements from row to row whose bytes fit into 32 bits.
inline constexpr std::int64_t kMaxPlainStride = UINT32_MAX / 4;

// Every 64-byte line of parameters that a kernel touches costs it 20 to 30 ns (H200, 2026-11-22), so what belongs
// together shares a line, what all launches read comes first, and the address of an output is not touched when its
// capacity is 0.
struct alignas(64) common_params {
  strided_lengths seq_lens;
  strided_lengths query_lens;
  std::int32_t batch;
  std::int32_t kv_offset;
  std::int32_t query_width;   // QUERY_CONSTANT
  std::uint8_t query_source;  // nsameta_query_source
  std::uint8_t clamp;
  std::uint8_t tail;  // nsameta_tail
  std::uint8_t pool_rows_are_int64;
  // Where blocks of a step or a large launch begin: those that write lengths; those that copy table rows,
  // 1 << slice_bits for a request. Before them come those for the schedule, then one for the plan, if wanted.
  std::int32_t first_length_block;
  std::int32_t first_copy_block;
  std::int32_t slice_bits;
  std::uint8_t page_shift;
  std::uint8_t tables_by_token;  // 0: a row per request
  std::uint8_t mqa_variant;      // nsameta_mqa_variant
  std::uint8_t thread_bits;      // plain steps: 1 << thread_bits threads copy a request's rows

  const std::int32_t* req_to_token;
  std::int64_t req_to_token_row_stride;
  strided_lengths pool_rows;
  std::int64_t num_pool_rows;
  // Columns of a row of page_table_1 that are written, if the table has them: (kv + add) & mask | bits.
  std::uint32_t live_add;
  std::uint32_t live_mask;
  std::uint32_t live_bits;
  std::int32_t max_context;
  std::int32_t chunk_bits;  // large kernel: of the number of requests in a chunk
  std::int32_t max_batch;   // batch, but where num_requests makes that smaller

  formula::sparsity sparsity;
  std::int32_t num_slices;  // warps that share the tokens of a request (step) or of a group of them (small)
  std::int32_t group_bits;  // bits of a block's number that tell its group of requests
  std::int64_t req_to_token_column_stride;
  std::int32_t first_plan_block;
  std::int32_t mqa_atoms;
  std::uint8_t mqa_by_token;
  std::uint8_t topk_plan_arch;  // nsameta_topk_plan_arch
  formula::divider width;       // query_width
  std::int32_t topk_plan_clusters;
  std::int32_t topk_plan_threshold;
  formula::divider work_blocks;  // large kernel: blocks that write lengths and tables
  const std::int32_t* num_requests;
};

// One set of outputs.
struct alignas(64) output_params {
  std::int32_t capacity[kNumTokenOutputs];  // 0: not wanted
  std::int32_t max_token_capacity;          // over the wanted per-token outputs: how far tails reach
  std::int32_t min_token_capacity;          // a larger T is a fault
  std::int32_t ctx_lens_columns;
  std::uint32_t is_aligned;  // bit k: token output k starts at a multiple of 16 bytes
  std::uint8_t positions_are_int64;
  std::uint8_t slots_are_int64;
  std::uint8_t rows_are_wide;  // rows of req_to_token and of page_table_1 can be copied 16 bytes at a time
  // Moreover neighbours in real_page_table, strides up to kMaxPlainStride, and req_to_token has all columns.
  std::uint8_t rows_are_plain;
  std::uint64_t* fault_word;

  std::int32_t* token_data[kNumTokenOutputs];
  std::int32_t* cache_seqlens;
  std::int32_t* cu_seqlens_k;
  std::int32_t* cu_seqlens_q;
  std::int32_t* total_tokens;
  std::int32_t* ctx_lens;
  std::int64_t ctx_lens_row_stride;
  std::int32_t* schedule;

  table_params slots_table;  // page_table_1
  table_params page_table;   // real_page_table

  formula::divider num_sms;
  std::int32_t* flattened;
  std::int64_t flattened_capacity;
  std::int32_t* plan;
  std::int32_t plan_capacity;
};

struct build_metadata_params : common_params, output_params {};

// Parameters of a launch with several sets of outputs, or with the true batch on the device.
struct build_metadata_sets {
  common_params common;
  output_params sets[NSAMETA_MAX_DESTINATIONS];
};
static_assert(sizeof(build_metadata_sets) <= 4096);

inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// With no request there may be no vector either, while a kernel reads element 0 before it knows: it gets `any_word`.
inline strided_lengths make_lengths(const nsameta_lengths& lengths, std::int32_t batch, const void* any_word) {
  if (batch == 0 || lengths.data == nullptr) return {static_cast<const char*>(any_word), 0};
  const std::int64_t element_bytes = lengths.dtype == NSAMETA_INT64 ? 8 : 4;
  return {static_cast<const char*>(lengths.data), static_cast<std::int32_t>(lengths.stride * element_bytes)};
}

inline bool is_aligned16(const void* data) { return reinterpret_cast<std::uintptr_t>(data) % 16 == 0; }

inline void set_token_output(output_params& p, token_output k, const nsameta_output& output) {
  if (output.data == nullptr) return;
  p.token_data[k] = static_cast<std::int32_t*>(output.data);
  p.capacity[k] = formula::saturate(output.capacity);
  if (is_aligned16(output.data)) p.is_aligned |= 1U << k;
  p.max_token_capacity = std::max(p.max_token_capacity, p.capacity[k]);
  p.min_token_capacity = std::min(p.min_token_capacity, p.capacity[k] - (k == SPARSE_CU ? 1 : 0));
}

inline table_params make_table_params(const nsameta_output& output) {
  return {static_cast<std::int32_t*>(output.data), output.row_stride, output.column_stride,
          formula::saturate(output.capacity), static_cast<std::int32_t>(output.num_columns)};
}

inline output_params make_output_params(const nsameta_build_metadata_desc& desc, const nsameta_output_set& set,
                                        std::uint64_t* fault_word) {
  output_params p{};
  p.fault_word = fault_word;
  p.positions_are_int64 = set.positions.dtype == NSAMETA_INT64 ? 1 : 0;
  p.slots_are_int64 = set.out_slots.dtype == NSAMETA_INT64 ? 1 : 0;
  p.min_token_capacity = INT32_MAX;
  set_token_output(p, EXPANDED, set.seqlens_expanded);
  set_token_output(p, SPARSE, set.nsa_cache_seqlens);
  set_token_output(p, SPARSE_CU, set.nsa_cu_seqlens_k);
  set_token_output(p, REQUEST, set.token_to_batch_idx);
  set_token_output(p, POSITION, set.positions);
  set_token_output(p, OFFSET, set.topk_indices_offset);
  set_token_output(p, KEY_START, set.indexer_ks);
  set_token_output(p, KEY_END, set.indexer_ke);
  set_token_output(p, SLOT, set.out_slots);
  p.cache_seqlens = static_cast<std::int32_t*>(set.cache_seqlens.data);
  p.cu_seqlens_k = static_cast<std::int32_t*>(set.cu_seqlens_k.data);
  p.cu_seqlens_q = static_cast<std::int32_t*>(set.cu_seqlens_q.data);
  p.total_tokens = static_cast<std::int32_t*>(set.total_tokens.data);
  p.ctx_lens = static_cast<std::int32_t*>(set.paged_mqa_ctx_lens_2d.data);
  p.ctx_lens_row_stride = set.paged_mqa_ctx_lens_2d.row_stride;
  p.ctx_lens_columns = static_cast<std::int32_t>(set.paged_mqa_ctx_lens_2d.num_columns);
  p.slots_table = make_table_params(set.page_table_1);
  p.page_table = make_table_params(set.real_page_table);
  for (const table_params& table : {p.slots_table, p.page_table}) {
    if (table.data != nullptr && desc.tables_by_token != 0) {
      p.min_token_capacity = std::min(p.min_token_capacity, table.num_rows);
    }
  }
  const nsameta_matrix& from = desc.req_to_token;
  p.rows_are_wide = from.column_stride == 1 && from.row_stride % 4 == 0 && is_aligned16(from.data) &&
                    (p.slots_table.data == nullptr || p.slots_table.column_stride == 1) &&
                    p.slots_table.row_stride % 4 == 0 && is_aligned16(p.slots_table.data);
  const auto is_plain = [&](const table_params& table, int shift) {
    const bool has_columns =
        table.num_columns == 0 || (std::int64_t{table.num_columns} - 1) << shift < from.num_columns;
    return table.data == nullptr ||
           (table.column_stride == 1 && table.row_stride >= 0 && table.row_stride <= kMaxPlainStride && has_columns);
  };
  p.flattened = static_cast<std::int32_t*>(set.page_table_1_flattened.data);
  const bool has_rows = p.slots_table.data != nullptr || p.page_table.data != nullptr || p.flattened != nullptr;
  p.rows_are_plain = !has_rows || (p.rows_are_wide != 0 && from.row_stride >= 0 && from.row_stride <= kMaxPlainStride &&
                                   from.num_rows <= INT32_MAX && is_plain(p.slots_table, 0) &&
                                   is_plain(p.page_table, desc.page_shift));
  p.flattened_capacity = set.page_table_1_flattened.capacity;
  p.schedule = static_cast<std::int32_t*>(set.paged_mqa_schedule.data);
  p.num_sms = formula::divider::make(
      static_cast<std::uint32_t>(std::max<std::int64_t>(set.paged_mqa_schedule.capacity - 1, 1)));
  p.plan = static_cast<std::int32_t*>(set.topk_plan.data);
  p.plan_capacity = formula::saturate(set.topk_plan.capacity);
  return p;
}

// any_word: see make_lengths.
inline common_params make_common_params(const nsameta_build_metadata_desc& desc, const void* any_word) {
  common_params p{};
  p.seq_lens = make_lengths(desc.seq_lens, desc.batch, any_word);
  p.query_lens = make_lengths(desc.extend_seq_lens, desc.batch, any_word);
  p.pool_rows = make_lengths(desc.req_pool_indices, desc.batch, any_word);
  p.pool_rows_are_int64 = desc.req_pool_indices.dtype == NSAMETA_INT64 ? 1 : 0;
  p.batch = p.max_batch = desc.batch;
  p.kv_offset = desc.kv_offset;
  p.query_width = desc.query_width;
  p.width = formula::divider::make(static_cast<std::uint32_t>(std::max(desc.query_width, 1)));
  p.tail = static_cast<std::uint8_t>(desc.tail);
  p.sparsity = formula::sparsity::make(desc.topk, desc.kpool);
  p.query_source = static_cast<std::uint8_t>(desc.query_source);
  p.clamp = desc.clamp != 0 ? 1 : 0;
  p.page_shift = static_cast<std::uint8_t>(desc.page_shift);
  p.live_add = desc.table_width == NSAMETA_TABLE_LIVE_128 ? 127 : 0;
  p.live_mask = ~p.live_add;
  p.live_bits = desc.table_width == NSAMETA_TABLE_FULL ? INT32_MAX : 0;
  p.tables_by_token = desc.tables_by_token != 0 ? 1 : 0;
  p.req_to_token = desc.req_to_token.data;
  p.req_to_token_row_stride = desc.req_to_token.row_stride;
  p.req_to_token_column_stride = desc.req_to_token.column_stride;
  p.num_pool_rows = desc.req_to_token.num_rows;
  p.max_context = formula::saturate(desc.req_to_token.num_columns);
  p.mqa_variant = static_cast<std::uint8_t>(desc.mqa_variant);
  p.mqa_by_token = desc.mqa_by_token != 0 ? 1 : 0;
  p.mqa_atoms = desc.mqa_atoms;
  p.topk_plan_arch = static_cast<std::uint8_t>(desc.topk_plan_arch);
  p.topk_plan_clusters = desc.topk_plan_clusters;
  p.topk_plan_threshold = desc.topk_plan_threshold;
  p.num_requests = desc.num_requests;
  return p;
}

// Whether an output needs prefix sums of key lengths.
inline bool wants_keys(const output_params& p) {
  return p.cu_seqlens_k != nullptr || p.capacity[SPARSE_CU] > 0 || p.capacity[OFFSET] > 0 ||
         p.capacity[KEY_START] > 0 || p.capacity[KEY_END] > 0;
}

// Whether an output reads req_to_token, on the host and on the device.
NSAMETA_HD constexpr bool wants_slots(const output_params& p) {
  return p.token_data[SLOT] != nullptr || p.slots_table.data != nullptr || p.page_table.data != nullptr ||
         p.flattened != nullptr;
}

// Whether there is more to write than lengths.
inline bool wants_more_than_lengths(const output_params& p) {
  return wants_slots(p) || p.schedule != nullptr || p.plan != nullptr;
}

// Whether seqlens_expanded and nsa_cache_seqlens are all there is to write.
inline bool is_seed_only(const build_metadata_params& p) {
  for (int k = SPARSE_CU; k < kNumTokenOutputs; ++k) {
    if (p.capacity[k] > 0) return false;
  }
  return p.tail == NSAMETA_TAIL_KEEP && p.cache_seqlens == nullptr && p.cu_seqlens_k == nullptr &&
         p.cu_seqlens_q == nullptr && p.total_tokens == nullptr && p.ctx_lens == nullptr;
}

// What most replays of decode and verify steps have in common: sets it in `p`. A kernel that knows it has fewer
// instructions on its way.
NSAMETA_HD inline void set_plain_step(build_metadata_params& p) {
  p.query_source = NSAMETA_QUERY_CONSTANT;
  p.tail = NSAMETA_TAIL_KEEP;
  p.rows_are_plain = 1;
  p.mqa_atoms = 1;
  p.max_batch = p.batch;
  for (const token_output k : {REQUEST, POSITION, OFFSET, KEY_START, KEY_END, SLOT}) p.capacity[k] = 0;
  p.token_data[SLOT] = nullptr;
  p.cu_seqlens_q = nullptr;
  p.total_tokens = nullptr;
  p.flattened = nullptr;
}

inline constexpr std::int32_t kMaxPlainQuery = 64;

// Whether that changes nothing, there is more to write than the small kernel does as fast, and what else such a kernel
// counts on.
inline bool is_plain_step(const build_metadata_params& p) {
  const bool has_work = wants_more_than_lengths(p) || p.capacity[SPARSE_CU] > 0;
  const bool has_strides = p.seq_lens.stride_bytes >= 0 && p.pool_rows.stride_bytes >= 0;
  const bool has_query = 0 < p.query_width && p.query_width <= kMaxPlainQuery;
  if (p.batch == 0 || !has_work || !has_strides || !has_query) return false;
  build_metadata_params plain;
  std::memcpy(&plain, &p, sizeof(p));
  set_plain_step(plain);
  return std::memcmp(&plain, &p, sizeof(p)) == 0;
}

}  // namespace nsameta::simt
