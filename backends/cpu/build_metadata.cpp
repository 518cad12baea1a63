// Small jobs run in the calling thread, in one pass. Large ones take three steps: sums of chunks of requests in
// parallel, their prefix, then ranges of equal weight in parallel.
#include "backends/cpu/build_metadata.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>

#include "backends/cpu/balance.h"
#include "backends/cpu/mqa_schedule.h"
#include "backends/cpu/state.h"
#include "backends/cpu/tables.h"
#include "backends/cpu/tails.h"
#include "backends/cpu/token_outputs.h"
#include "backends/cpu/topk_plan.h"
#include "core/fault.h"

namespace nsameta::cpu {
namespace {

using desc_t = nsameta_build_metadata_desc;

// What deciding for a path needs to know.
struct job_size {
  int64_t bytes_per_token = 0;
  int64_t token_limit = 0;         // tokens that some output has room for
  int64_t least_room = INT64_MAX;  // tokens that every output has room for

  explicit job_size(const desc_t& desc) {
    for_each_token_output(desc, [&](const nsameta_output& output, int num_leading) {
      bytes_per_token += output.dtype == NSAMETA_INT64 ? 8 : 4;
      token_limit = std::max(token_limit, output.capacity - num_leading);
      least_room = std::min(least_room, output.capacity - num_leading);
    });
  }
  int64_t token_bytes(int64_t num_tokens) const { return std::min(num_tokens, token_limit) * bytes_per_token; }
};

// Writes all that lies between two points.
void write_range(const request_source& source, bool is_streamed, const boundary& begin, const boundary& end) {
  request_block block;
  running_sums sums = begin.sums;
  const int64_t last = std::max(end.first_owned, std::min<int64_t>(end.request + 1, source.batch));
  for (int64_t request = begin.request; request < last;) {
    const int num = static_cast<int>(std::min<int64_t>(request_block::kCapacity, last - request));
    block.load(source, request, num, sums);
    sums = block.after;
    const int64_t dropped = begin.token - block.first_token;
    if (dropped > 0) block.drop_front(source, static_cast<int32_t>(std::min<int64_t>(dropped, block.q[0])));
    const auto owned = [&](int64_t r) { return static_cast<int>(std::clamp<int64_t>(r - request, 0, num)); };
    if (source.has_request_outputs) {
      source.loops.write_request_outputs(source, block, owned(begin.first_owned), owned(end.first_owned));
    }
    source.loops.write_token_outputs(source, block, end.token, is_streamed);
    request += num;
  }
  if (is_streamed) finish_streaming();
}

// ---- paths --------------------------------------------------------------------------------------------------------

struct outcome {
  running_sums total;
  uint64_t fault;
};

void write_parallel(const request_source& source, const job_size& size, const balance& balance, const policy& policy) {
  const int64_t bytes = size.token_bytes(balance.num_tokens());
  const bool streams = streams_tokens(policy, bytes);
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
      [&](const tbb::blocked_range<int>& range) {
        write_range(source, streams, point(range.begin()), point(range.end()));
      },
      tbb::simple_partitioner());
}

// The outputs that are made from all requests together. `batch` is a request_block or a balance.
template <typename Batch>
void write_others(const request_source& source, const Batch& batch, const policy& policy) {
  if (source.has_schedule) write_mqa_schedules(source, batch);
  if (source.has_plan) write_topk_plans(source, batch);
  if (source.has_tables) write_tables(source, batch, policy);
}

// A batch of one block is read once.
outcome run_block(const request_source& source, const job_size& size, const policy& policy) {
  const int num_requests = static_cast<int>(source.batch);
  request_block block;
  const uint64_t fault = block.load(source, 0, num_requests, {});
  if (size.token_bytes(block.num_tokens) >= policy.min_parallel_bytes) {
    balance balance(source, size.token_limit, policy);
    (void)balance.sum_chunks();
    write_parallel(source, size, balance, policy);
  } else {
    if (source.has_request_outputs) source.loops.write_request_outputs(source, block, 0, num_requests);
    source.loops.write_token_outputs(source, block, block.num_tokens, false);
  }
  write_others(source, block, policy);
  return {block.after, fault};
}

outcome run_chunks(const request_source& source, const job_size& size, const policy& policy) {
  balance balance(source, size.token_limit, policy);
  const uint64_t fault = balance.sum_chunks();
  const bool is_wide = source.batch * policy.request_weight_tokens * 4 >= policy.min_parallel_bytes;
  if (is_wide || size.token_bytes(balance.num_tokens()) >= policy.min_parallel_bytes) {
    write_parallel(source, size, balance, policy);
  } else {
    write_range(source, false, boundary{}, balance.locate(balance.total_weight()));
  }
  write_others(source, balance, policy);
  return {balance.total(), fault};
}

// ---- what only the sums tell --------------------------------------------------------------------------------------

uint64_t capacity_fault(const request_source& source, const job_size& size, const running_sums& total) {
  int64_t most_tokens = size.least_room;
  int64_t most_keys = INT64_MAX;
  const auto cut = [](int64_t* most, const nsameta_output& output, int num_leading) {
    if (output.data != nullptr) *most = std::min(*most, output.capacity - num_leading);
  };
  const desc_t& desc = source.desc;
  for (int i = 0; (source.has_tables || source.has_plan) && i < desc.num_sets; ++i) {
    const nsameta_output_set& set = desc.sets[i];
    if (desc.tables_by_token != 0) {
      cut(&most_tokens, set.page_table_1, 0);
      cut(&most_tokens, set.real_page_table, 0);
    }
    if (is_planned(desc, total.tokens)) cut(&most_tokens, set.topk_plan, 1);
    cut(&most_keys, set.page_table_1_flattened, 0);
  }
  if (total.tokens > most_tokens) return fault_word(NSAMETA_CHECK_TOKENS_OVER_CAPACITY, -1, total.tokens);
  if (total.keys > most_keys) return fault_word(NSAMETA_CHECK_KEYS_OVER_CAPACITY, -1, total.keys);
  return 0;
}

uint64_t num_requests_fault(const desc_t& desc, int64_t true_batch) {
  if (desc.num_requests == nullptr || *desc.num_requests == true_batch) return 0;
  return fault_word(NSAMETA_CHECK_NUM_REQUESTS, -1, *desc.num_requests);
}

void write_element(const nsameta_output& output, int32_t value) {
  if (output.data != nullptr) *static_cast<int32_t*>(output.data) = value;
}

void write_single_elements(const desc_t& desc, int64_t num_tokens) {
  for (int i = 0; i < desc.num_sets; ++i) {
    const nsameta_output_set& set = desc.sets[i];
    write_element(set.nsa_cu_seqlens_k, 0);
    write_element(set.cu_seqlens_k, 0);
    write_element(set.cu_seqlens_q, 0);
    write_element(set.total_tokens, formula::saturate(num_tokens));
  }
}

// At most so much is written, as far as threads may share it.
int64_t most_bytes(const desc_t& desc) {
  int64_t cells = 0;
  for_each_token_output(desc, [&](const nsameta_output& output, int) { cells += output.capacity * 2; });
  for (int i = 0; i < desc.num_sets; ++i) {
    const nsameta_output_set& set = desc.sets[i];
    cells += int64_t{desc.batch} * (3 + set.paged_mqa_ctx_lens_2d.num_columns);
    for (const nsameta_output* table : {&set.page_table_1, &set.real_page_table}) {
      if (table->data != nullptr) cells += table->capacity * table->num_columns;
    }
    if (set.page_table_1_flattened.data != nullptr) cells += set.page_table_1_flattened.capacity;
  }
  return cells * 4;
}

}  // namespace

void build_metadata(const desc_t& desc, const loops& loops, const policy& policy, uint64_t* fault_word) {
  const request_source source(desc, loops);
  const job_size size(desc);
  const auto [total, length_fault] =
      source.batch <= request_block::kCapacity ? run_block(source, size, policy) : run_chunks(source, size, policy);
  write_single_elements(desc, total.tokens);
  write_token_tails(source, total.tokens, policy);
  write_request_tails(source);
  uint64_t fault = num_requests_fault(desc, source.batch);
  if (fault == 0) fault = length_fault;
  if (fault == 0) fault = capacity_fault(source, size, total);
  uint64_t none = 0;
  if (fault != 0) std::atomic_ref<uint64_t>(*fault_word).compare_exchange_strong(none, fault);
}

nsameta_status build_metadata(void* state, const desc_t* desc, void*) {
  auto* context = static_cast<context_state*>(state);
  const auto run = [&] { build_metadata(*desc, context->loops, context->policy, &context->fault_word); };
  if (context->workers.are_callers()) {
    run();
  } else {
    context->workers.run(most_bytes(*desc), context->policy, run);
  }
  return NSAMETA_OK;
}

}  // namespace nsameta::cpu
