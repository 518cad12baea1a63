#include "cli/builder.h"

#include <algorithm>

namespace nsameta::cli {
namespace {

build_limits limits_of(const builder_options& options) {
  const bool has_ctx_lens = options.mode == NSAMETA_MODE_DECODE || options.mode == NSAMETA_MODE_TARGET_VERIFY;
  return {options.max_batch, options.max_tokens, has_ctx_lens ? options.tokens_per_request : 0};
}

size_t bytes_of(int64_t num_cells) { return static_cast<size_t>(num_cells) * sizeof(int32_t); }

}  // namespace

builder::builder(const session& owner, const builder_options& options)
    : session_(owner),
      options_(options),
      limits_(limits_of(options)),
      layout_(lay_out(limits_)),
      inputs_(owner.context(), bytes_of(int64_t{2} * options.max_batch)),
      outputs_(owner.context(), bytes_of(layout_.num_cells)),
      graphs_(options.use_graph ? static_cast<size_t>(options.max_batch) + 1 : 0),
      staging_(static_cast<size_t>(options.max_batch) * 2) {
  const std::vector<int32_t> poison(static_cast<size_t>(layout_.num_cells), kPoison);
  owner.copy_to_device(outputs_.data(), poison.data(), bytes_of(layout_.num_cells));
  owner.copy_to_device(inputs_.data(), staging_.data(), bytes_of(static_cast<int64_t>(staging_.size())));

  build_metadata_args args;
  const auto max_batch = static_cast<size_t>(options.max_batch);
  args.mode = options.mode;
  args.batch = options.max_batch;
  args.tokens_per_request = options.tokens_per_request;
  args.topk = options.topk;
  args.seq_lens = make_tensor(seq_lens(), max_batch, owner.device());
  if (options.tokens_per_request == 0) {
    args.extend_seq_lens = make_tensor(extend_seq_lens(), max_batch, owner.device());
  }
  bind_outputs(layout_, limits_, outputs_.as<int32_t>(), owner.device(), &args);
  plan_ = std::make_unique<plan>(owner.context(), args);
}

void builder::load(const batch& lengths) {
  const size_t count = lengths.seq_lens.size();
  std::copy_n(lengths.seq_lens.begin(), count, staging_.begin());
  auto copied = static_cast<int64_t>(count);
  if (!lengths.extend_seq_lens.empty()) {
    std::copy_n(lengths.extend_seq_lens.begin(), count, staging_.begin() + options_.max_batch);
    copied += options_.max_batch;
  }
  session_.copy_to_device(inputs_.data(), staging_.data(), bytes_of(copied));
}

// A graph keeps the bounds that it was captured with, so they are left open: they must hold for every batch of its
// size.
void builder::capture(const batch& lengths) {
  auto& captured = graphs_[lengths.seq_lens.size()];
  if (captured != nullptr) return;
  const auto& stream = session_.stream();
  const auto launch = [&] { plan_->run(stream.get(), static_cast<int32_t>(lengths.seq_lens.size())); };
  captured = std::make_unique<graph>(session_.context(), stream, launch);
  ++num_graphs_;
}

void builder::run(const batch& lengths) {
  const auto& stream = session_.stream();
  if (options_.use_graph) {
    graphs_[lengths.seq_lens.size()]->launch(stream);
  } else {
    plan_->run(stream.get(), static_cast<int32_t>(lengths.seq_lens.size()), lengths.num_tokens, lengths.max_kv);
  }
  if (!session_.is_host()) stream.synchronize();
}

const int32_t* builder::outputs_on_host(std::vector<int32_t>* scratch) const {
  const int32_t* data = outputs_.as<int32_t>();
  if (session_.is_host()) return data;
  scratch->resize(static_cast<size_t>(layout_.num_cells));
  session_.copy_to_host(scratch->data(), data, bytes_of(layout_.num_cells));
  return scratch->data();
}

}  // namespace nsameta::cli
