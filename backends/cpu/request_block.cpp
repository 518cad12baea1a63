#include "backends/cpu/request_block.h"

#include <cstring>

#include "core/fault.h"

namespace nsameta::cpu {
namespace {

void load_lengths(const nsameta_lengths& lengths, int64_t first, int num, int32_t* values) {
  if (lengths.dtype == NSAMETA_INT64) {
    const auto* data = static_cast<const int64_t*>(lengths.data) + first * lengths.stride;
    for (int i = 0; i < num; ++i) values[i] = static_cast<int32_t>(data[i * lengths.stride]);
    return;
  }
  const auto* data = static_cast<const int32_t*>(lengths.data) + first * lengths.stride;
  if (lengths.stride == 1) {
    std::memcpy(values, data, static_cast<size_t>(num) * sizeof(int32_t));
    return;
  }
  for (int i = 0; i < num; ++i) values[i] = data[i * lengths.stride];
}

int64_t element(const nsameta_lengths& lengths, int64_t i) {
  if (lengths.dtype == NSAMETA_INT64) return static_cast<const int64_t*>(lengths.data)[i * lengths.stride];
  return static_cast<const int32_t*>(lengths.data)[i * lengths.stride];
}

// Returns whether a request has no row of req_to_token, or more keys than that has columns.
bool load_rows(const request_source& source, request_block* block) {
  const nsameta_matrix& pool = source.desc.req_to_token;
  bool is_bad = false;
  for (int i = 0; i < block->size; ++i) {
    const int64_t row = element(source.desc.req_pool_indices, block->first_request + i);
    const bool is_inside = row >= 0 && row < pool.num_rows;
    block->pool_row[i] = is_inside ? row : -1;
    is_bad |= !is_inside || block->kv[i] > pool.num_columns;
  }
  return is_bad;
}

// Negative lengths become 0. Returns the first fault of the first request that has one.
uint64_t remove_faults(const request_source& source, request_block* block) {
  uint64_t fault = 0;
  const auto report = [&](nsameta_check check, int i, int64_t value) {
    if (fault == 0) fault = fault_word(check, block->first_request + i, value);
  };
  for (int i = 0; i < block->size; ++i) {
    if (block->kv[i] < 0) {
      report(NSAMETA_CHECK_NEGATIVE_KV, i, block->kv[i]);
      block->kv[i] = 0;
    }
    if (block->q[i] < 0) {
      report(NSAMETA_CHECK_NEGATIVE_QUERY, i, block->q[i]);
      block->q[i] = 0;
    }
    if (!source.needs_slots) continue;
    if (block->pool_row[i] < 0) {
      report(NSAMETA_CHECK_POOL_ROW, i, element(source.desc.req_pool_indices, block->first_request + i));
    }
    if (block->kv[i] > source.desc.req_to_token.num_columns) report(NSAMETA_CHECK_KV_OVER_CONTEXT, i, block->kv[i]);
  }
  return fault;
}

int64_t true_batch(const nsameta_build_metadata_desc& desc) {
  return desc.num_requests == nullptr ? desc.batch : std::clamp(*desc.num_requests, 0, desc.batch);
}

}  // namespace

request_source::request_source(const nsameta_build_metadata_desc& descriptor)
    : desc(descriptor),
      batch(true_batch(descriptor)),
      is_ragged(desc.query_source == NSAMETA_QUERY_RAGGED),
      clamp(desc.clamp != 0),
      width(desc.query_width),
      sparsity(formula::sparsity::make(desc.topk, desc.kpool)) {
  if (desc.query_source == NSAMETA_QUERY_FIRST && batch > 0) load_lengths(desc.extend_seq_lens, 0, 1, &width);
  for (int i = 0; i < desc.num_sets; ++i) {
    const nsameta_output_set& set = desc.sets[i];
    const bool is_flattened = set.page_table_1_flattened.data != nullptr;
    const bool is_table = set.page_table_1.data != nullptr || set.real_page_table.data != nullptr || is_flattened;
    needs_keys |= set.cu_seqlens_k.data != nullptr || set.topk_indices_offset.data != nullptr ||
                  set.indexer_ks.data != nullptr || set.indexer_ke.data != nullptr || is_flattened;
    needs_kept |= set.nsa_cu_seqlens_k.data != nullptr;
    needs_slots |= is_table || set.out_slots.data != nullptr;
    has_tables |= is_table;
    has_schedule |= set.paged_mqa_schedule.data != nullptr;
    has_plan |= set.topk_plan.data != nullptr;
  }
}

uint64_t request_block::load(const request_source& source, int64_t first, int num, const running_sums& before) {
  size = num;
  first_request = first;
  first_token = before.tokens;
  first_key = before.keys;
  load_lengths(source.desc.seq_lens, first, num, kv);
  if (source.is_ragged) {
    load_lengths(source.desc.extend_seq_lens, first, num, q);
  } else {
    for (int i = 0; i < num; ++i) q[i] = source.width;
  }
  int32_t any_negative = 0;
  for (int i = 0; i < num; ++i) {
    kv[i] = formula::wrap_add(kv[i], source.desc.kv_offset);
    any_negative |= kv[i] | q[i];
  }
  const bool has_bad_rows = source.needs_slots && load_rows(source, this);
  const uint64_t fault = any_negative < 0 || has_bad_rows ? remove_faults(source, this) : 0;
  num_tokens = 0;
  for (int i = 0; i < num; ++i) {
    num_tokens += q[i];
    first_visible[i] = formula::visible(kv[i], q[i], 0, false);
  }
  after = before;
  after.tokens += num_tokens;
  for (int i = 0; source.needs_keys && i < num; ++i) {
    key_start[i] = static_cast<uint32_t>(after.keys);
    after.keys += kv[i];
  }
  for (int i = 0; source.needs_kept && i < num; ++i) {
    kept_start[i] = after.kept;
    after.kept += source.kept_of(kv[i], q[i]);
  }
  for (int i = 0; source.has_schedule && i < num; ++i) after.mqa_work += source.mqa_work_of(kv[i], q[i]);
  return fault;
}

void request_block::drop_front(const request_source& source, int32_t dropped) {
  if (source.needs_kept) kept_start[0] += source.kept_of(kv[0] - q[0] + dropped, dropped);
  q[0] -= dropped;
  first_visible[0] = formula::wrap_add(first_visible[0], dropped);
  first_token += dropped;
  num_tokens -= dropped;
}

}  // namespace nsameta::cpu
