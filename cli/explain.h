// One small batch whose tensors are all built by the library and compared with the oracle: the subject of
// `nsameta explain`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/session.h"
#include "core/ops/build_metadata.h"
#include "reference/build_metadata.h"

namespace nsameta::cli {

struct explain_case {
  nsameta_mode mode = NSAMETA_MODE_DECODE;
  std::vector<int32_t> seq_lens;
  std::vector<int32_t> extend_seq_lens;  // empty where the query width is constant
  int32_t tokens_per_request = 0;        // 0 where it is not
  std::optional<int32_t> num_requests;   // the true batch, on the device
  std::vector<int32_t> pool_rows;        // empty: chosen
  int64_t max_context = 0;               // columns of req_to_token; 0: as needed
  int32_t topk = 8;
  int32_t kpool = 1;
  int32_t page_size = 4;
  nsameta_clamp clamp = NSAMETA_CLAMP_DEFAULT;
  nsameta_tail tail = NSAMETA_TAIL_KEEP;
  int32_t padding = -1;  // elements of per-token outputs beyond the tokens; -1: some where there is a tail to see
  nsameta_table_width table_width = NSAMETA_TABLE_LIVE_128;
  nsameta_table_rows table_rows = NSAMETA_TABLE_ROWS_DEFAULT;
  int64_t table_columns = 0;  // of page_table_1; 0: as needed
  int32_t num_sms = 4;
  nsameta_mqa_variant mqa_variant = NSAMETA_MQA_V1;
  nsameta_mqa_lengths mqa_lengths = NSAMETA_MQA_LENGTHS_DEFAULT;
  int32_t mqa_next_n = 1;
  int32_t plan_clusters = 0;
  std::optional<int32_t> plan_threshold;  // none: topk, so that a small batch has tokens above it; -1: by the rule
  std::vector<std::string> outputs;       // names; empty: all
};

// What follows from a case before anything is built.
struct explain_setting {
  std::vector<int32_t> kv;  // of the requests that exist
  std::vector<int32_t> q;
  std::vector<int32_t> start;  // one more: T
  int64_t num_tokens = 0;      // T
  int64_t max_tokens = 0;      // capacity of per-token outputs
  int64_t max_kv = 0;
  int64_t num_keys = 0;  // sum of kv
  bool clamp = false;
  bool tables_by_token = false;
  bool mqa_by_token = false;
  int32_t plan_threshold = -1;
  int64_t table_columns = 0;
  int64_t num_pool_rows = 0;
  int64_t max_context = 0;
  std::vector<int32_t> pool_rows;     // [batch]
  std::vector<int32_t> req_to_token;  // [num_pool_rows, max_context]
};

explain_setting make_setting(const explain_case& c);

// One output as it lies in memory after the build.
struct built_output {
  const char* name;
  build_metadata::output_kind kind;
  int64_t num_rows;     // elements of a 1-D output
  int64_t num_columns;  // 0: 1-D
  std::vector<int32_t> cells;
  std::vector<bool> is_written;

  int64_t width() const { return num_columns > 0 ? num_columns : 1; }
  bool has(int64_t idx) const { return idx >= 0 && static_cast<size_t>(idx) < cells.size(); }
  // The cell as text: "." where nothing was written, "" beyond the output.
  std::string text(int64_t idx) const;
};

struct explain_mismatch {
  std::string output;
  int64_t index;  // row-major
  std::string expected;
  std::string got;
};

struct explanation {
  explain_setting setting;
  std::vector<built_output> outputs;  // in the order of outputs.def
  nsameta_fault fault;
  int64_t num_cells = 0;  // compared
  int64_t num_mismatches = 0;
  std::vector<explain_mismatch> mismatches;  // the first ones

  const built_output* find(const std::string& name) const;
};

// Builds by the library. Throws nsameta::error for what the library refuses.
explanation explain(const explain_case& c, session& where);

// Compares with the oracle, and fills the fields about mismatches.
void compare_with_oracle(const explain_case& c, explanation* result);

const char* check_name(int32_t check);

}  // namespace nsameta::cli
