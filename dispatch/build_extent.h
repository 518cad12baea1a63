// How much a run of build_metadata reads and writes, from lengths that the host can read.
#pragma once

#include <cstdint>
#include <vector>

#include "core/ops/build_metadata.h"

namespace nsameta::dispatch {

int64_t num_extend_elements(const nsameta_build_metadata_desc& desc);

struct build_extent {
  // The lengths and num_requests of `host` are in host memory.
  explicit build_extent(const nsameta_build_metadata_desc& host);

  // Table rows of a request, without regard to capacities.
  int64_t num_table_rows(int64_t request) const { return tables_by_token ? q[static_cast<size_t>(request)] : 1; }
  int64_t num_table_rows() const { return tables_by_token ? num_tokens : batch; }
  // Columns that a table's row of the request receives; `page_shift` is 0 for a table of slots.
  int64_t num_table_columns(const nsameta_output& table, int page_shift, int64_t request) const;
  // Positions of the request whose slots are read: [begin, end).
  struct range {
    int64_t begin;
    int64_t end;
  };
  range slots_read(const nsameta_build_metadata_desc& desc, int64_t request) const;
  // Leading elements of a 1-D output (rows of a 2-D one) that are written, tails included. Not for tables and plans.
  int64_t num_written(const nsameta_build_metadata_desc& desc, const build_metadata::output_view& view) const;

  bool tables_by_token;
  int32_t table_width;
  int64_t batch = 0;  // the true one
  int64_t num_tokens = 0;
  int64_t num_keys = 0;
  std::vector<int64_t> kv;
  std::vector<int64_t> q;
};

}  // namespace nsameta::dispatch
