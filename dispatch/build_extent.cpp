#include "dispatch/build_extent.h"

#include <algorithm>

#include "core/formula.h"
#include "dispatch/staging.h"

namespace nsameta::dispatch {

using desc_t = nsameta_build_metadata_desc;
using build_metadata::output_kind;
using build_metadata::output_view;

int64_t num_extend_elements(const desc_t& desc) {
  switch (desc.query_source) {
    case NSAMETA_QUERY_RAGGED: return desc.batch;
    case NSAMETA_QUERY_FIRST: return std::min(desc.batch, 1);
    default: return 0;
  }
}

build_extent::build_extent(const desc_t& host)
    : tables_by_token(host.tables_by_token != 0), table_width(host.table_width) {
  batch = host.num_requests == nullptr ? host.batch : std::clamp(*host.num_requests, 0, host.batch);
  for (int64_t r = 0; r < batch; ++r) {
    const int32_t length = formula::wrap_add(read_length(host.seq_lens, r), host.kv_offset);
    kv.push_back(std::max(length, 0));
    int32_t width = host.query_width;
    if (host.query_source == NSAMETA_QUERY_RAGGED) width = read_length(host.extend_seq_lens, r);
    if (host.query_source == NSAMETA_QUERY_FIRST) width = read_length(host.extend_seq_lens, 0);
    q.push_back(std::max(width, 0));
    num_keys += kv.back();
    num_tokens += q.back();
  }
}

int64_t build_extent::num_table_columns(const nsameta_output& table, int page_shift, int64_t request) const {
  int64_t live = kv[static_cast<size_t>(request)];
  if (table_width == NSAMETA_TABLE_FULL) return table.num_columns;
  if (table_width == NSAMETA_TABLE_LIVE_128) live = (live + 127) / 128 * 128;
  return std::min((live + (int64_t{1} << page_shift) - 1) >> page_shift, table.num_columns);
}

build_extent::range build_extent::slots_read(const desc_t& desc, int64_t request) const {
  const auto i = static_cast<size_t>(request);
  range read{INT64_MAX, 0};
  const auto add = [&](const nsameta_output& output, int64_t begin, int64_t end) {
    if (output.data == nullptr || begin >= end) return;
    read = {std::min(read.begin, begin), std::max(read.end, end)};
  };
  for (int s = 0; s < desc.num_sets; ++s) {
    const nsameta_output_set& set = desc.sets[s];
    add(set.out_slots, std::max<int64_t>(kv[i] - q[i], 0), kv[i]);
    add(set.page_table_1, 0, num_table_columns(set.page_table_1, 0, request));
    add(set.real_page_table, 0, num_table_columns(set.real_page_table, desc.page_shift, request) << desc.page_shift);
    add(set.page_table_1_flattened, 0, kv[i]);
  }
  read.end = std::min(read.end, desc.req_to_token.num_columns);
  read.begin = std::min(read.begin, read.end);
  return read;
}

int64_t build_extent::num_written(const desc_t& desc, const output_view& view) const {
  const bool has_token_tail = desc.tail != NSAMETA_TAIL_KEEP && num_tokens > 0;
  const int64_t num_requests = desc.tail == NSAMETA_TAIL_KEEP ? batch : desc.batch;
  const int64_t capacity = view.output->capacity;
  switch (view.kind) {
    case output_kind::TOKEN: return has_token_tail ? capacity : std::min(num_tokens, capacity);
    case output_kind::TOKEN_CU: return has_token_tail ? capacity : std::min(num_tokens + 1, capacity);
    case output_kind::REQUEST:
    case output_kind::REQUEST_ROW: return num_requests;
    case output_kind::REQUEST_CU: return num_requests + 1;
    case output_kind::SCALAR: return 1;
    case output_kind::KEY: return std::min(num_keys, capacity);
    case output_kind::SCHEDULE: return capacity;
    default: return 0;
  }
}

}  // namespace nsameta::dispatch
