// The metadata of one mode, built step after step into the same buffers by one plan.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cli/engine.h"
#include "cli/output_layout.h"
#include "cli/session.h"
#include "cli/slot_table.h"

namespace nsameta::cli {

// What unwritten cells hold when a run begins.
inline constexpr int32_t kPoison = 0x5A5A5A5A;

struct builder_options {
  nsameta_mode mode;
  int32_t max_batch;
  int64_t max_tokens;
  int32_t tokens_per_request;  // constant query width; 0: extend_seq_lens says
  int32_t topk;
  bool use_graph;               // replay a device graph, captured once a batch size, instead of launching
  slot_table* slots = nullptr;  // null: no output that has slots
  bool has_wide_table = false;  // page_table_1 is built
  int32_t page_size = 1;        // > 1: real_page_table is built
  int64_t max_keys = 0;         // > 0: page_table_1_flattened is built
  int32_t num_sms = 0;          // > 0: paged_mqa_schedule is built
  int64_t plan_rows = 0;        // > 0: topk_plan is built
};

// A page table, or the flattened one as a single row. Behind each row there is at least one cell that no build writes.
struct table_place {
  table_place(const session& owner, const char* table_name, int64_t rows, int64_t columns);

  bool is_built() const { return num_columns > 0; }
  size_t bytes() const { return cells.bytes(); }

  const char* name;
  int64_t num_rows;
  int64_t num_columns;
  int64_t row_stride;
  device_buffer cells;
};

// What page_table_1 takes where it is built.
int64_t wide_table_bytes(const builder_options& options);

class builder {
 public:
  // The session outlives the builder.
  builder(const session& owner, const builder_options& options);

  // Puts the lengths where the plan reads them.
  void load(const batch& lengths);
  // Builds for the lengths that were loaded, and waits for the end. With graphs, capture(lengths) comes first.
  void run(const batch& lengths);
  // The outputs that need neither slots nor a schedule once more, as if they alone were wanted; never by a graph.
  void run_lengths(const batch& lengths);
  void capture(const batch& lengths);

  const builder_options& options() const { return options_; }
  const output_layout& layout() const { return layout_; }
  const build_limits& limits() const { return limits_; }
  int64_t num_graphs() const { return num_graphs_; }
  bool rows_are_tokens() const;
  const table_place& page_table_1() const { return page_table_1_; }
  const table_place& real_page_table() const { return real_page_table_; }
  const table_place& page_table_1_flattened() const { return page_table_1_flattened_; }

  // The block of outputs, for the host to read: in place, or copied into `scratch`.
  const int32_t* outputs_on_host(std::vector<int32_t>* scratch) const;
  // The lengths as they lie on the device.
  const int32_t* seq_lens() const { return inputs_.as<int32_t>(); }
  const int32_t* extend_seq_lens() const { return seq_lens() + options_.max_batch; }
  const int32_t* pool_rows() const { return extend_seq_lens() + options_.max_batch; }

 private:
  build_metadata_args make_args() const;
  void bind_tables(build_metadata_args* args) const;
  void wait() const;

  const session& session_;
  builder_options options_;
  build_limits limits_;
  output_layout layout_;
  device_buffer inputs_;  // [3, max_batch]: seq_lens, extend_seq_lens, pool_rows
  device_buffer outputs_;
  table_place page_table_1_;
  table_place real_page_table_;
  table_place page_table_1_flattened_;
  std::unique_ptr<plan> plan_;
  std::unique_ptr<plan> lengths_plan_;
  std::vector<std::unique_ptr<graph>> graphs_;  // by batch size; null: not captured yet
  int64_t num_graphs_ = 0;
  std::vector<int32_t> staging_;  // the rows of inputs_, for one copy
};

}  // namespace nsameta::cli
