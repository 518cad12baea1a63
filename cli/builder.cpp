#include "cli/builder.h"

#include <algorithm>

#include "cli/rounding.h"

namespace nsameta::cli {
namespace {

build_limits limits_of(const builder_options& options) {
  const bool has_ctx_lens = options.mode == NSAMETA_MODE_DECODE || options.mode == NSAMETA_MODE_TARGET_VERIFY;
  return {options.max_batch,        options.max_tokens, has_ctx_lens ? options.tokens_per_request : 0,
          options.slots != nullptr, options.num_sms,    options.plan_rows};
}

size_t bytes_of(int64_t num_cells) { return static_cast<size_t>(num_cells) * sizeof(int32_t); }

bool has_token_rows(nsameta_mode mode) {
  return mode == NSAMETA_MODE_TARGET_VERIFY || mode == NSAMETA_MODE_DRAFT_EXTEND;
}

int64_t table_rows(const builder_options& options) {
  return has_token_rows(options.mode) ? options.max_tokens : options.max_batch;
}

int64_t wide_columns(const builder_options& options) {
  return options.has_wide_table ? options.slots->max_context() : 0;
}

int64_t page_columns(const builder_options& options) {
  return options.page_size > 1 ? (options.slots->max_context() + options.page_size - 1) / options.page_size : 0;
}

}  // namespace

int64_t wide_table_bytes(const builder_options& options) {
  return table_rows(options) * pad_cells(options.slots->max_context()) * static_cast<int64_t>(sizeof(int32_t));
}

table_place::table_place(const session& owner, const char* table_name, int64_t rows, int64_t columns)
    : name(table_name),
      num_rows(columns > 0 ? rows : 0),
      num_columns(columns),
      row_stride(pad_cells(columns)),
      cells(owner.context(), bytes_of(num_rows * row_stride)) {}

builder::builder(const session& owner, const builder_options& options)
    : session_(owner),
      options_(options),
      limits_(limits_of(options)),
      layout_(lay_out(limits_)),
      inputs_(owner.context(), bytes_of(int64_t{3} * options.max_batch)),
      outputs_(owner.context(), bytes_of(layout_.num_cells)),
      page_table_1_(owner, "page_table_1", table_rows(options), wide_columns(options)),
      real_page_table_(owner, "real_page_table", table_rows(options), page_columns(options)),
      page_table_1_flattened_(owner, "page_table_1_flattened", 1, options.max_keys),
      graphs_(options.use_graph ? static_cast<size_t>(options.max_batch) + 1 : 0),
      staging_(static_cast<size_t>(options.max_batch) * 3) {
  const std::vector<int32_t> poison(static_cast<size_t>(layout_.num_cells), kPoison);
  owner.copy_to_device(outputs_.data(), poison.data(), bytes_of(layout_.num_cells));
  owner.copy_to_device(inputs_.data(), staging_.data(), bytes_of(static_cast<int64_t>(staging_.size())));

  auto args = make_args();
  bind_outputs(layout_, limits_, outputs_.as<int32_t>(), owner.device(), &args);
  bind_tables(&args);
  plan_ = std::make_unique<plan>(owner.context(), args);
  args.out.out_slots = {};
  args.out.page_table_1 = {};
  args.out.real_page_table = {};
  args.out.page_table_1_flattened = {};
  args.out.paged_mqa_schedule = {};
  args.out.topk_plan = {};
  lengths_plan_ = std::make_unique<plan>(owner.context(), args);
}

bool builder::rows_are_tokens() const { return has_token_rows(options_.mode); }

// All but the outputs.
build_metadata_args builder::make_args() const {
  build_metadata_args args;
  const auto max_batch = static_cast<size_t>(options_.max_batch);
  args.mode = options_.mode;
  args.batch = options_.max_batch;
  args.tokens_per_request = options_.tokens_per_request;
  args.topk = options_.topk;
  args.page_size = options_.page_size;
  args.mqa_variant = NSAMETA_MQA_SM90_JUN26;
  args.seq_lens = make_tensor(seq_lens(), max_batch, session_.device());
  if (options_.tokens_per_request == 0) {
    args.extend_seq_lens = make_tensor(extend_seq_lens(), max_batch, session_.device());
  }
  if (options_.slots != nullptr) {
    args.req_pool_indices = make_tensor(pool_rows(), max_batch, session_.device());
    args.req_to_token = options_.slots->tensor();
  }
  return args;
}

void builder::bind_tables(build_metadata_args* args) const {
  const auto bind = [this](const table_place& place, nsameta_tensor* tensor) {
    if (!place.is_built()) return;
    *tensor = make_tensor_2d(place.cells.as<int32_t>(), static_cast<size_t>(place.num_rows),
                             static_cast<size_t>(place.num_columns), place.row_stride, session_.device());
  };
  bind(page_table_1_, &args->out.page_table_1);
  bind(real_page_table_, &args->out.real_page_table);
  if (!page_table_1_flattened_.is_built()) return;
  args->out.page_table_1_flattened =
      make_tensor(page_table_1_flattened_.cells.as<int32_t>(), static_cast<size_t>(page_table_1_flattened_.num_columns),
                  session_.device());
}

void builder::load(const batch& lengths) {
  if (options_.slots != nullptr) options_.slots->update();
  const size_t count = lengths.seq_lens.size();
  const int64_t max_batch = options_.max_batch;
  auto copied = static_cast<int64_t>(count);
  std::copy_n(lengths.seq_lens.begin(), count, staging_.begin());
  if (!lengths.extend_seq_lens.empty()) {
    std::copy_n(lengths.extend_seq_lens.begin(), count, staging_.begin() + max_batch);
    copied = max_batch + static_cast<int64_t>(count);
  }
  if (!lengths.pool_rows.empty()) {
    std::copy_n(lengths.pool_rows.begin(), count, staging_.begin() + 2 * max_batch);
    copied = 2 * max_batch + static_cast<int64_t>(count);
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
  wait();
}

void builder::run_lengths(const batch& lengths) {
  lengths_plan_->run(session_.stream().get(), static_cast<int32_t>(lengths.seq_lens.size()), lengths.num_tokens,
                     lengths.max_kv);
  wait();
}

void builder::wait() const {
  if (!session_.is_host()) session_.stream().synchronize();
}

const int32_t* builder::outputs_on_host(std::vector<int32_t>* scratch) const {
  const int32_t* data = outputs_.as<int32_t>();
  if (session_.is_host()) return data;
  scratch->resize(static_cast<size_t>(layout_.num_cells));
  session_.copy_to_host(scratch->data(), data, bytes_of(layout_.num_cells));
  return scratch->data();
}

}  // namespace nsameta::cli
