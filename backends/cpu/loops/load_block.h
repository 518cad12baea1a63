// Reads requests and sums them up; see loops.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "backends/cpu/lengths.h"
#include "backends/cpu/request_block.h"
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

// Returns whether a request has no row of req_to_token, or more keys than that has columns.
bool load_rows(const request_source& source, request_block* block) {
  const nsameta_matrix& pool = source.desc.req_to_token;
  bool is_bad = false;
  for (int i = 0; i < block->size; ++i) {
    const int64_t row = length_at(source.desc.req_pool_indices, block->first_request + i);
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
      report(NSAMETA_CHECK_POOL_ROW, i, length_at(source.desc.req_pool_indices, block->first_request + i));
    }
    if (block->kv[i] > source.desc.req_to_token.num_columns) report(NSAMETA_CHECK_KV_OVER_CONTEXT, i, block->kv[i]);
  }
  return fault;
}

int64_t sum_keys(int64_t sum, request_block* block) {
  for (int i = 0; i < block->size; ++i) {
    block->key_start[i] = static_cast<uint32_t>(sum);
    sum += block->kv[i];
  }
  return sum;
}

// All terms first: they need no order, so that several are computed at a time.
uint32_t sum_kept(const request_source& source, uint32_t sum, request_block* block) {
  for (int i = 0; i < block->size; ++i) block->kept_start[i] = source.kept_of(block->kv[i], block->q[i]);
  for (int i = 0; i < block->size; ++i) {
    const uint32_t kept = block->kept_start[i];
    block->kept_start[i] = sum;
    sum += kept;
  }
  return sum;
}

uint64_t load_block(const request_source& source, int64_t first, int num, const running_sums& before,
                    request_block* block) {
  block->size = num;
  block->first_request = first;
  block->first_token = before.tokens;
  block->first_key = before.keys;
  load_lengths(source.desc.seq_lens, first, num, block->kv);
  if (source.is_ragged) {
    load_lengths(source.desc.extend_seq_lens, first, num, block->q);
  } else {
    for (int i = 0; i < num; ++i) block->q[i] = source.width;
  }
  int32_t any_negative = 0;
  for (int i = 0; i < num; ++i) {
    block->kv[i] = formula::wrap_add(block->kv[i], source.desc.kv_offset);
    any_negative |= block->kv[i] | block->q[i];
  }
  const bool has_bad_rows = source.needs_slots && load_rows(source, block);
  const uint64_t fault = any_negative < 0 || has_bad_rows ? remove_faults(source, block) : 0;
  int64_t num_tokens = 0;
  for (int i = 0; i < num; ++i) {
    num_tokens += block->q[i];
    block->first_visible[i] = formula::visible(block->kv[i], block->q[i], 0, false);
  }
  block->num_tokens = num_tokens;
  block->after = before;
  block->after.tokens += num_tokens;
  if (source.needs_keys) block->after.keys = sum_keys(before.keys, block);
  if (source.needs_kept) block->after.kept = sum_kept(source, before.kept, block);
  if (source.has_schedule) {
    int64_t work = 0;
    for (int i = 0; i < num; ++i) work += source.mqa_work_of(block->kv[i], block->q[i]);
    block->after.mqa_work += work;
  }
  return fault;
}

}  // namespace
}  // namespace nsameta::cpu
