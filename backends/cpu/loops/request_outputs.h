// Writes the outputs that hold an element or row per request; see loops.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "backends/cpu/request_block.h"

namespace nsameta::cpu {
namespace {

void write_request_outputs(const nsameta_output_set& set, const request_block& block, int begin, int end) {
  const auto first = block.first_request;
  if (set.cache_seqlens.data != nullptr && begin < end) {
    std::memcpy(static_cast<int32_t*>(set.cache_seqlens.data) + first + begin, block.kv + begin,
                static_cast<size_t>(end - begin) * sizeof(int32_t));
  }
  if (set.cu_seqlens_k.data != nullptr) {
    auto* to = static_cast<int32_t*>(set.cu_seqlens_k.data) + first + 1;
    for (int i = begin; i < end; ++i) {
      to[i] = static_cast<int32_t>(block.key_start[i] + static_cast<uint32_t>(block.kv[i]));
    }
  }
  if (set.cu_seqlens_q.data != nullptr) {
    auto* to = static_cast<int32_t*>(set.cu_seqlens_q.data) + first + 1;
    auto sum = static_cast<uint32_t>(block.first_token);
    for (int i = 0; i < end; ++i) {
      sum += static_cast<uint32_t>(block.q[i]);
      if (i >= begin) to[i] = static_cast<int32_t>(sum);
    }
  }
  if (set.paged_mqa_ctx_lens_2d.data != nullptr) {
    const nsameta_output& output = set.paged_mqa_ctx_lens_2d;
    auto* rows = static_cast<int32_t*>(output.data);
    for (int i = begin; i < end; ++i) {
      int32_t* const row = rows + (first + i) * output.row_stride;
      for (int64_t column = 0; column < output.num_columns; ++column) row[column] = block.kv[i];
    }
  }
}

void write_request_outputs(const request_source& source, const request_block& block, int begin, int end) {
  for (int i = 0; i < source.desc.num_sets; ++i) write_request_outputs(source.desc.sets[i], block, begin, end);
}

}  // namespace
}  // namespace nsameta::cpu
