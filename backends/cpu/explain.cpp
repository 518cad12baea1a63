// Which way a call would take by its policy. Actual lengths decide; here their bounds stand for them, since no tensor
// is read.
#include <tbb/task_arena.h>

#include <algorithm>
#include <cinttypes>

#include "backends/cpu/request_block.h"
#include "backends/cpu/token_outputs.h"
#include "backends/cpu/tunables.h"

namespace nsameta::cpu {
namespace {

using build_desc = nsameta_build_metadata_desc;

bool reaches(const char* what, int64_t value, const char* tunable, int64_t limit, text_writer* text) {
  text->line("rule: %s %" PRId64 " >= %" PRId64 " (%s %" PRId64 "): %s", what, value, limit, tunable, limit,
             value >= limit ? "yes" : "no");
  return value >= limit;
}

bool is_parallel(const char* what, int64_t bytes, const policy& policy, text_writer* text) {
  return reaches(what, bytes, "min_parallel_bytes", policy.min_parallel_bytes, text);
}

bool is_streamed(const char* what, int64_t bytes, const policy& policy, text_writer* text) {
  return reaches(what, bytes, "min_stream_bytes", policy.min_stream_bytes, text);
}

bool are_tokens_streamed(int64_t bytes, const policy& policy, text_writer* text) {
  const int64_t of_thread = bytes / tbb::this_task_arena::max_concurrency();
  const bool is_large = is_streamed("token_bytes", bytes, policy, text);
  return reaches("bytes_of_thread", of_thread, "stream_bytes_of_thread", policy.stream_bytes_of_thread, text) ||
         is_large;
}

int64_t num_ranges(int64_t bytes, const policy& policy) {
  const int64_t most = int64_t{tbb::this_task_arena::max_concurrency()} * policy.num_ranges_per_thread;
  return std::clamp<int64_t>(bytes / std::max<int64_t>(policy.min_bytes_per_range, 1), 1, most);
}

const char* path(bool is_parallel) { return is_parallel ? "all_threads" : "one_thread"; }

// At most.
int64_t num_tokens(const build_desc& desc, int64_t capacity) {
  int64_t tokens = capacity;
  if (desc.query_source == NSAMETA_QUERY_CONSTANT) tokens = std::min(tokens, int64_t{desc.batch} * desc.query_width);
  return desc.num_tokens_bound >= 0 ? std::min(tokens, desc.num_tokens_bound) : tokens;
}

// The part of a build with an element per token.
void explain_tokens(const build_desc& desc, const policy& policy, text_writer* text) {
  int64_t bytes_per_token = 0;
  int64_t capacity = 0;
  for_each_token_output(desc, [&](const nsameta_output& output, int num_leading) {
    bytes_per_token += output.dtype == NSAMETA_INT64 ? 8 : 4;
    capacity = std::max(capacity, output.capacity - num_leading);
  });
  const int64_t tokens = num_tokens(desc, capacity);
  const int64_t bytes = tokens * bytes_per_token;
  const bool is_one_block = desc.batch <= request_block::kCapacity;
  text->line("fact: one_block: %s", is_one_block ? "yes" : "no");
  const int64_t request_bytes = int64_t{desc.batch} * policy.request_weight_tokens * 4;
  const bool is_wide = !is_one_block && is_parallel("request_bytes", request_bytes, policy, text);
  const bool is_shared = is_wide || is_parallel("token_bytes", bytes, policy, text);
  text->line("token_path: %s", path(is_shared));
  if (!is_one_block || is_shared) {
    const int64_t most = std::max<int64_t>(desc.batch / std::max(policy.min_requests_per_chunk, 1), 1);
    text->line("request_chunks: %" PRId64, std::min<int64_t>(most, 1024));
  }
  if (!is_shared) return;
  const int64_t weight = tokens + int64_t{desc.batch} * policy.request_weight_tokens;
  text->line("token_ranges: %" PRId64, num_ranges(weight * std::max<int64_t>(bytes_per_token, 4), policy));
  text->line("request_weight: %d", policy.request_weight_tokens);
  text->line("streams_tokens: %s", are_tokens_streamed(bytes, policy, text) ? "yes" : "no");
}

struct table_size {
  int64_t num_wide = 0;  // with a column per slot
  int64_t num_pages = 0;
  int64_t columns = 0;  // of slots, at most
  int64_t rows = 0;     // of each table
};

table_size measure_tables(const build_desc& desc) {
  table_size size;
  int64_t row_capacity = 0;
  const auto add = [&](const nsameta_output& output, int64_t columns, int64_t* count) {
    if (output.data == nullptr) return;
    ++*count;
    size.columns = std::max(size.columns, columns);
    row_capacity = std::max(row_capacity, output.capacity);
  };
  for (int i = 0; i < desc.num_sets; ++i) {
    const nsameta_output_set& set = desc.sets[i];
    add(set.page_table_1, set.page_table_1.num_columns, &size.num_wide);
    add(set.page_table_1_flattened, desc.req_to_token.num_columns, &size.num_wide);
    add(set.real_page_table, set.real_page_table.num_columns << desc.page_shift, &size.num_pages);
  }
  if (desc.max_kv_bound >= 0 && desc.table_width != NSAMETA_TABLE_FULL) {
    size.columns = std::min(size.columns, (std::min<int64_t>(desc.max_kv_bound, INT32_MAX) + 127) / 128 * 128);
  }
  size.rows = desc.tables_by_token != 0 ? num_tokens(desc, row_capacity) : desc.batch;
  return size;
}

void explain_tables(const build_desc& desc, const policy& policy, text_writer* text) {
  const table_size size = measure_tables(desc);
  if (size.num_wide + size.num_pages == 0) return;
  // As table_writer weighs them: a read of each column, or of a line for each page, beside the writes.
  const int64_t cells =
      size.num_wide > 0 ? size.columns * (desc.batch + size.num_wide * size.rows)
                        : (size.columns >> desc.page_shift) * (int64_t{16} * desc.batch + size.num_pages * size.rows);
  const bool is_shared = is_parallel("table_bytes", cells * 4, policy, text);
  text->line("table_path: %s", path(is_shared));
  if (is_shared) text->line("table_ranges: %" PRId64, num_ranges(cells * 4, policy));
  text->line("streams_tables: %s", is_streamed("table_bytes", cells * 4, policy, text) ? "yes" : "no");
}

}  // namespace

void explain(const build_desc& desc, const policy& policy, text_writer* text) {
  explain_tokens(desc, policy, text);
  explain_tables(desc, policy, text);
}

void explain(const nsameta_copy_metadata_desc& desc, const policy& policy, text_writer* text) {
  int64_t bytes = 0;
  for (int32_t i = 0; i < desc.num_copies; ++i) {
    const nsameta_copy& c = desc.copies[i];
    bytes += c.num_rows * c.num_columns * (c.dtype == NSAMETA_INT64 ? 8 : 4);
  }
  const bool is_shared = is_parallel("copied_bytes", bytes, policy, text);
  text->line("path: %s", path(is_shared));
  if (is_shared) text->line("bytes_per_range: %" PRId64, policy.min_bytes_per_range);
}

void explain(const nsameta_map_topk_to_slots_desc& desc, const policy& policy, text_writer* text) {
  const bool is_shared = is_parallel("slot_bytes", int64_t{desc.num_tokens} * desc.num_topk * 4, policy, text);
  text->line("path: %s", path(is_shared));
  if (is_shared) text->line("bytes_per_range: %" PRId64, policy.min_bytes_per_range);
}

void explain(const nsameta_mla_schedule_desc&, const policy&, text_writer* text) {
  text->line("path: %s", path(false));
}

}  // namespace nsameta::cpu
