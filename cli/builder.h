// The metadata of one mode, built step after step into the same buffers by one plan.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cli/engine.h"
#include "cli/output_layout.h"
#include "cli/session.h"

namespace nsameta::cli {

// What unwritten cells hold when a run begins.
inline constexpr int32_t kPoison = 0x5A5A5A5A;

struct builder_options {
  nsameta_mode mode;
  int32_t max_batch;
  int64_t max_tokens;
  int32_t tokens_per_request;  // constant query width; 0: extend_seq_lens says
  int32_t topk;
  bool use_graph;  // replay a device graph, captured once a batch size, instead of launching
};

class builder {
 public:
  // The session outlives the builder.
  builder(const session& owner, const builder_options& options);

  // Puts the lengths where the plan reads them.
  void load(const batch& lengths);
  // Builds for the lengths that were loaded, and waits for the end. With graphs, capture(lengths) comes first.
  void run(const batch& lengths);
  void capture(const batch& lengths);

  const builder_options& options() const { return options_; }
  const output_layout& layout() const { return layout_; }
  const build_limits& limits() const { return limits_; }
  int64_t num_graphs() const { return num_graphs_; }

  // The block of outputs, for the host to read: in place, or copied into `scratch`.
  const int32_t* outputs_on_host(std::vector<int32_t>* scratch) const;
  // The lengths as they lie on the device.
  const int32_t* seq_lens() const { return inputs_.as<int32_t>(); }
  const int32_t* extend_seq_lens() const { return seq_lens() + options_.max_batch; }

 private:
  const session& session_;
  builder_options options_;
  build_limits limits_;
  output_layout layout_;
  device_buffer inputs_;  // [2, max_batch]: seq_lens, extend_seq_lens
  device_buffer outputs_;
  std::unique_ptr<plan> plan_;
  std::vector<std::unique_ptr<graph>> graphs_;  // by batch size; null: not captured yet
  int64_t num_graphs_ = 0;
  std::vector<int32_t> staging_;  // both rows of inputs_, for one copy
};

}  // namespace nsameta::cli
