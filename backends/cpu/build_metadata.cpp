// Small jobs run in the calling thread, in one pass. Large ones take three steps: sums of chunks of requests in
// parallel, their prefix, then ranges of equal weight in parallel.
#include "backends/cpu/build_metadata.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>

#include "backends/cpu/balance.h"
#include "backends/cpu/block_writer.h"
#include "backends/cpu/state.h"
#include "backends/cpu/token_fill.h"

namespace nsameta::cpu {
namespace {

using desc_t = nsameta_build_metadata_desc;

// Calls visit(output, num_leading, element_bytes) for each wanted per-token output; token t is element t + num_leading.
template <typename Visit>
void for_each_token_output(const desc_t& desc, Visit visit) {
  const int positions_bytes = desc.positions_dtype == NSAMETA_INT64 ? 8 : 4;
  const auto visit_wanted = [&](const nsameta_output& output, int num_leading, int element_bytes) {
    if (output.data != nullptr) visit(output, num_leading, element_bytes);
  };
  visit_wanted(desc.seqlens_expanded, 0, 4);
  visit_wanted(desc.nsa_cache_seqlens, 0, 4);
  visit_wanted(desc.nsa_cu_seqlens_k, 1, 4);
  visit_wanted(desc.token_to_batch_idx, 0, 4);
  visit_wanted(desc.positions, 0, positions_bytes);
  visit_wanted(desc.topk_indices_offset, 0, 4);
  visit_wanted(desc.indexer_ks, 0, 4);
  visit_wanted(desc.indexer_ke, 0, 4);
}

// What deciding for a path needs to know.
struct job_size {
  int64_t bytes_per_token = 0;
  int64_t token_limit = 0;         // tokens that some output has room for
  int64_t least_room = INT64_MAX;  // tokens that every output has room for

  explicit job_size(const desc_t& desc) {
    for_each_token_output(desc, [&](const nsameta_output& output, int num_leading, int element_bytes) {
      bytes_per_token += element_bytes;
      token_limit = std::max(token_limit, output.capacity - num_leading);
      least_room = std::min(least_room, output.capacity - num_leading);
    });
  }
  int64_t token_bytes(int64_t num_tokens) const { return std::min(num_tokens, token_limit) * bytes_per_token; }
};

void write_element(const nsameta_output& output, int32_t value) {
  if (output.data != nullptr) *static_cast<int32_t*>(output.data) = value;
}

// Writes all that lies between two points.
void write_range(const block_writer& writer, const boundary& begin, const boundary& end) {
  request_block block;
  running_sums sums = begin.sums;
  const int64_t last = std::max(end.first_owned, std::min<int64_t>(end.request + 1, writer.desc().batch));
  for (int64_t request = begin.request; request < last;) {
    const int num = static_cast<int>(std::min<int64_t>(request_block::kCapacity, last - request));
    block.load(writer.source(), request, num, sums);
    sums = block.sums_after(writer.source());
    const int64_t dropped = begin.token - block.first_token;
    if (dropped > 0) block.drop_front(writer.source(), static_cast<int32_t>(std::min<int64_t>(dropped, block.q[0])));
    const auto owned = [&](int64_t r) { return static_cast<int>(std::clamp<int64_t>(r - request, 0, num)); };
    writer.write_request_outputs(block, owned(begin.first_owned), owned(end.first_owned));
    writer.write_token_outputs(block, end.token);
    request += num;
  }
  if (writer.is_streamed()) finish_streaming();
}

// ---- tails --------------------------------------------------------------------------------------------------------

template <typename Element>
void write_tail(const nsameta_output& output, int64_t begin, int32_t tail, const policy& policy) {
  auto* data = static_cast<Element*>(output.data);
  Element value = 0;
  if (tail == NSAMETA_TAIL_LAST) value = data[begin - 1];
  if (tail == NSAMETA_TAIL_MINUS_ONE) value = -1;
  const int64_t bytes = (output.capacity - begin) * static_cast<int64_t>(sizeof(Element));
  if (bytes < policy.min_parallel_bytes) {
    std::fill(data + begin, data + output.capacity, value);
    return;
  }
  const auto grain = static_cast<size_t>(std::max<int64_t>(policy.min_bytes_per_range, 1));
  tbb::parallel_for(tbb::blocked_range<int64_t>(begin, output.capacity, grain), [&](const auto& range) {
    if (bytes < policy.min_stream_bytes) {
      std::fill(data + range.begin(), data + range.end(), value);
    } else {
      constant_run run;
      line_writer<Element>(data + range.begin())
          .write(run, 0, static_cast<uint32_t>(value), range.end() - range.begin());
      finish_streaming();
    }
  });
}

void write_tails(const desc_t& desc, int64_t num_tokens, const policy& policy) {
  if (desc.tail == NSAMETA_TAIL_KEEP || num_tokens == 0) return;
  for_each_token_output(desc, [&](const nsameta_output& output, int num_leading, int element_bytes) {
    const int64_t end = num_tokens + num_leading;
    if (end >= output.capacity) return;
    if (element_bytes == 8) {
      write_tail<int64_t>(output, end, desc.tail, policy);
    } else {
      write_tail<int32_t>(output, end, desc.tail, policy);
    }
  });
}

// ---- paths --------------------------------------------------------------------------------------------------------

struct outcome {
  int64_t num_tokens;
  uint64_t fault;
};

outcome run_parallel(block_writer& writer, const job_size& size, const policy& policy) {
  balance balance(writer.source(), writer.desc().batch, size.token_limit, policy);
  const uint64_t fault = balance.sum_chunks();
  const int64_t bytes = size.token_bytes(balance.num_tokens());
  writer.set_streamed(bytes >= policy.min_stream_bytes);
  const int64_t weight = balance.total_weight();
  const int64_t most_ranges = int64_t{tbb::this_task_arena::max_concurrency()} * policy.num_ranges_per_thread;
  const int64_t bytes_per_weight = std::max<int64_t>(size.bytes_per_token, 4);
  const int64_t worthwhile = weight * bytes_per_weight / std::max<int64_t>(policy.min_bytes_per_range, 1);
  const int num_ranges = static_cast<int>(std::clamp<int64_t>(worthwhile, 1, most_ranges));
  const auto point = [&](int i) {
    return balance.locate(weight / num_ranges * i + weight % num_ranges * i / num_ranges);
  };
  tbb::parallel_for(
      tbb::blocked_range<int>(0, num_ranges),
      [&](const tbb::blocked_range<int>& range) { write_range(writer, point(range.begin()), point(range.end())); },
      tbb::simple_partitioner());
  return {balance.num_tokens(), fault};
}

// A batch of one block is read once.
outcome run(block_writer& writer, const job_size& size, const policy& policy) {
  const int64_t batch = writer.desc().batch;
  if (batch <= request_block::kCapacity) {
    request_block block;
    const uint64_t fault = block.load(writer.source(), 0, static_cast<int>(batch), {});
    if (size.token_bytes(block.num_tokens) >= policy.min_parallel_bytes) return run_parallel(writer, size, policy);
    writer.write_request_outputs(block, 0, static_cast<int>(batch));
    writer.write_token_outputs(block, block.num_tokens);
    return {block.num_tokens, fault};
  }
  if (batch * policy.request_weight_tokens * 4 >= policy.min_parallel_bytes) return run_parallel(writer, size, policy);
  uint64_t fault = 0;
  boundary end;
  end.sums = sum_requests(writer.source(), 0, batch, &fault);
  if (size.token_bytes(end.sums.tokens) >= policy.min_parallel_bytes) return run_parallel(writer, size, policy);
  end.request = end.first_owned = batch;
  end.token = end.sums.tokens;
  write_range(writer, boundary{}, end);
  return {end.token, fault};
}

}  // namespace

void build_metadata(const desc_t& desc, const policy& policy, uint64_t* fault_word) {
  write_element(desc.nsa_cu_seqlens_k, 0);
  write_element(desc.cu_seqlens_k, 0);
  write_element(desc.cu_seqlens_q, 0);
  if (desc.batch == 0) return write_element(desc.total_tokens, 0);
  block_writer writer(desc);
  const job_size size(desc);
  const auto [num_tokens, length_fault] = run(writer, size, policy);
  write_tails(desc, num_tokens, policy);
  write_element(desc.total_tokens, formula::saturate(num_tokens));
  uint64_t fault = length_fault;
  if (fault == 0 && num_tokens > size.least_room) {
    fault = encode_fault(NSAMETA_CHECK_TOKENS_OVER_CAPACITY, -1, formula::saturate(num_tokens));
  }
  uint64_t none = 0;
  if (fault != 0) std::atomic_ref<uint64_t>(*fault_word).compare_exchange_strong(none, fault);
}

nsameta_status build_metadata(void* state, const desc_t* desc, void*) {
  auto* context = static_cast<context_state*>(state);
  build_metadata(*desc, context->policy, &context->fault_word);
  return NSAMETA_OK;
}

}  // namespace nsameta::cpu
