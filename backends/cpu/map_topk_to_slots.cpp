// Rows in order by one thread, or ranges of rows in parallel.
#include <tbb/blocked_range.h>
#include <tbb/parallel_reduce.h>

#include <algorithm>
#include <atomic>

#include "backends/cpu/lengths.h"
#include "backends/cpu/state.h"
#include "core/backend.h"
#include "core/fault.h"

namespace nsameta::cpu {
namespace {

using desc_t = nsameta_map_topk_to_slots_desc;

// The request of a token: the first whose tokens end beyond it. num_requests when there is none.
int64_t owner_of(const desc_t& desc, int64_t token) {
  int64_t low = 0;
  int64_t high = desc.num_requests;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (length_at(desc.cu_seqlens_q, middle + 1) > token) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

topk_row find_row(const desc_t& desc, int64_t token) {
  if (desc.source == NSAMETA_SLOTS_OF_TOKEN) return {desc.table.data + token * desc.table.row_stride, 0};
  if (desc.source != NSAMETA_SLOTS_OF_REQUEST) return {desc.table.data, 0};
  const int64_t request =
      desc.token_to_batch.data != nullptr ? length_at(desc.token_to_batch, token) : owner_of(desc, token);
  if (request < 0 || request >= desc.num_requests) return {nullptr, fault_word(NSAMETA_CHECK_POOL_ROW, -1, request)};
  const int64_t row = length_at(desc.req_pool_indices, request);
  if (row < 0 || row >= desc.table.num_rows) return {nullptr, fault_word(NSAMETA_CHECK_POOL_ROW, request, row)};
  return {desc.table.data + row * desc.table.row_stride, 0};
}

// The first fault in the order of rows and columns.
struct row_fault {
  int64_t token = INT64_MAX;
  uint64_t word = 0;
};

row_fault map_rows(const desc_t& desc, const loops& loops, int64_t begin, int64_t end, row_fault first) {
  for (int64_t token = begin; token < end; ++token) {
    const uint64_t fault = loops.map_topk_row(desc, token, find_row(desc, token));
    if (fault != 0 && token < first.token) first = {token, fault};
  }
  return first;
}

}  // namespace

nsameta_status map_topk_to_slots(void* state, const desc_t* desc, void*) {
  auto* context = static_cast<context_state*>(state);
  if (desc->num_tokens == 0 || desc->num_topk == 0) return NSAMETA_OK;
  const int64_t row_bytes = int64_t{desc->num_topk} * static_cast<int64_t>(sizeof(int32_t));
  const loops& loops = context->loops;
  row_fault first;
  if (desc->num_tokens * row_bytes < context->policy.min_parallel_bytes) {
    first = map_rows(*desc, loops, 0, desc->num_tokens, first);
  } else {
    const int64_t grain = std::max<int64_t>(context->policy.min_bytes_per_range / row_bytes, 1);
    const tbb::blocked_range<int64_t> rows(0, desc->num_tokens, static_cast<size_t>(grain));
    context->workers.run(desc->num_tokens * row_bytes, context->policy, [&] {
      first = tbb::parallel_reduce(
          rows, row_fault{},
          [&](const auto& range, const row_fault& before) {
            return map_rows(*desc, loops, range.begin(), range.end(), before);
          },
          [](const row_fault& a, const row_fault& b) { return a.token < b.token ? a : b; });
    });
  }
  uint64_t none = 0;
  if (first.word != 0) std::atomic_ref<uint64_t>(context->fault_word).compare_exchange_strong(none, first.word);
  return NSAMETA_OK;
}

}  // namespace nsameta::cpu
