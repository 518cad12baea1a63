#include "backends/cpu/request_block.h"

#include <cstring>

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

// Negative lengths become 0. Returns the first of them as a fault.
uint64_t remove_negatives(request_block* block) {
  uint64_t fault = 0;
  for (int i = 0; i < block->size; ++i) {
    const int64_t request_idx = block->first_request + i;
    if (block->kv[i] < 0) {
      if (fault == 0) fault = encode_fault(NSAMETA_CHECK_NEGATIVE_KV, request_idx, block->kv[i]);
      block->kv[i] = 0;
    }
    if (block->q[i] < 0) {
      if (fault == 0) fault = encode_fault(NSAMETA_CHECK_NEGATIVE_QUERY, request_idx, block->q[i]);
      block->q[i] = 0;
    }
  }
  return fault;
}

}  // namespace

uint64_t encode_fault(nsameta_check check, int64_t request_idx, int32_t value) {
  const auto request = static_cast<uint64_t>(request_idx + 1) & 0xffffff;
  return static_cast<uint64_t>(check) << 56 | request << 32 | static_cast<uint32_t>(value);
}

request_source::request_source(const nsameta_build_metadata_desc& desc)
    : seq_lens(desc.seq_lens),
      extend_seq_lens(desc.extend_seq_lens),
      kv_offset(desc.kv_offset),
      is_ragged(desc.query_source == NSAMETA_QUERY_RAGGED),
      width(desc.query_width),
      clamp(desc.clamp != 0),
      needs_keys(desc.cu_seqlens_k.data != nullptr || desc.topk_indices_offset.data != nullptr ||
                 desc.indexer_ks.data != nullptr || desc.indexer_ke.data != nullptr),
      needs_kept(desc.nsa_cu_seqlens_k.data != nullptr),
      sparsity(formula::sparsity::make(desc.topk, desc.kpool)) {
  if (desc.query_source == NSAMETA_QUERY_FIRST && desc.batch > 0) load_lengths(extend_seq_lens, 0, 1, &width);
}

uint64_t request_block::load(const request_source& source, int64_t first, int num, const running_sums& before) {
  size = num;
  first_request = first;
  first_token = before.tokens;
  load_lengths(source.seq_lens, first, num, kv);
  if (source.is_ragged) {
    load_lengths(source.extend_seq_lens, first, num, q);
  } else {
    for (int i = 0; i < num; ++i) q[i] = source.width;
  }
  int32_t any_negative = 0;
  for (int i = 0; i < num; ++i) {
    kv[i] = formula::wrap_add(kv[i], source.kv_offset);
    any_negative |= kv[i] | q[i];
  }
  const uint64_t fault = any_negative < 0 ? remove_negatives(this) : 0;
  num_tokens = 0;
  for (int i = 0; i < num; ++i) {
    num_tokens += q[i];
    first_visible[i] = formula::visible(kv[i], q[i], 0, false);
  }
  uint32_t keys = before.keys;
  for (int i = 0; source.needs_keys && i < num; ++i) {
    key_start[i] = keys;
    keys += static_cast<uint32_t>(kv[i]);
  }
  uint32_t kept = before.kept;
  for (int i = 0; source.needs_kept && i < num; ++i) {
    kept_start[i] = kept;
    kept += source.kept_of(kv[i], q[i]);
  }
  return fault;
}

running_sums request_block::sums_after(const request_source& source) const {
  const int last = size - 1;
  running_sums sums;
  sums.tokens = first_token + num_tokens;
  if (source.needs_keys) sums.keys = key_start[last] + static_cast<uint32_t>(kv[last]);
  if (source.needs_kept) sums.kept = kept_start[last] + source.kept_of(kv[last], q[last]);
  return sums;
}

void request_block::drop_front(const request_source& source, int32_t dropped) {
  if (source.needs_kept) kept_start[0] += source.kept_of(kv[0] - q[0] + dropped, dropped);
  q[0] -= dropped;
  first_visible[0] = formula::wrap_add(first_visible[0], dropped);
  first_token += dropped;
  num_tokens -= dropped;
}

}  // namespace nsameta::cpu
