#include "core/ops/build_metadata.h"

#include <algorithm>
#include <cinttypes>

#include "core/status.h"
#include "core/tensor.h"
#include "dispatch/build_extent.h"
#include "dispatch/op.h"
#include "dispatch/staged_pool.h"
#include "dispatch/staged_table.h"
#include "dispatch/staging.h"

namespace nsameta::dispatch {
namespace {

using desc_t = nsameta_build_metadata_desc;
using build_metadata::kNumOutputs;
using build_metadata::list_outputs;
using build_metadata::output_kind;
using build_metadata::output_view;

bool wants_slots(const desc_t& desc) {
  return std::any_of(desc.sets, desc.sets + desc.num_sets, build_metadata::wants_slots);
}

// Host rows are packed, whatever the device's row stride.
size_t host_row_bytes(const output_view& view) {
  const bool is_vector =
      view.kind != output_kind::REQUEST_ROW && view.kind != output_kind::SCHEDULE && view.kind != output_kind::PLAN;
  return static_cast<size_t>((is_vector ? 1 : view.output->num_columns) * dtype_bytes(view.output->dtype));
}

// The host copies of one set of outputs.
class staged_outputs {
 public:
  // Allocates what the shapes bound; tables and the flattened one are left to the run, which knows what is written.
  void make(const nsameta_output_set& set) {
    output_view views[kNumOutputs];
    list_outputs(set, views);
    for (int i = 0; i < kNumOutputs; ++i) {
      const bool is_of_run = views[i].kind == output_kind::TABLE || views[i].kind == output_kind::KEY;
      if (views[i].output->data == nullptr || is_of_run) continue;
      (void)buffers_[i].at_least(host_row_bytes(views[i]) * static_cast<size_t>(views[i].output->capacity));
    }
  }

  void bind(const desc_t& device, const nsameta_output_set& set, const build_extent& extent, nsameta_output_set* host) {
    output_view views[kNumOutputs];
    list_outputs(set, views);
    nsameta_output* const outputs[] = {
#define NSAMETA_OUTPUT(name, kind) &host->name,
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
    };
    for (int i = 0; i < kNumOutputs; ++i) {
      if (views[i].output->data == nullptr || views[i].kind == output_kind::TABLE) continue;
      const int64_t rows =
          views[i].kind == output_kind::KEY ? extent.num_written(device, views[i]) : views[i].output->capacity;
      outputs[i]->data = buffers_[i].at_least(host_row_bytes(views[i]) * static_cast<size_t>(rows));
      outputs[i]->row_stride = views[i].output->num_columns;
    }
    if (set.page_table_1.data != nullptr) slots_.bind(set.page_table_1, 0, extent, &host->page_table_1);
    if (set.real_page_table.data != nullptr) {
      pages_.bind(set.real_page_table, device.page_shift, extent, &host->real_page_table);
    }
  }

  nsameta_status store(const nsameta_context& context, const desc_t& device, const nsameta_output_set& set,
                       const nsameta_output_set& host, const build_extent& extent, void* stream) const {
    output_view to[kNumOutputs];
    output_view from[kNumOutputs];
    list_outputs(set, to);
    list_outputs(host, from);
    for (int i = 0; i < kNumOutputs; ++i) {
      if (to[i].output->data == nullptr) continue;
      auto status = NSAMETA_OK;
      if (to[i].output == &set.page_table_1) {
        status = slots_.store(context, set.page_table_1, stream);
      } else if (to[i].output == &set.real_page_table) {
        status = pages_.store(context, set.real_page_table, stream);
      } else {
        const int64_t rows = to[i].kind == output_kind::PLAN ? num_plan_rows(device, extent, *from[i].output)
                                                             : extent.num_written(device, to[i]);
        status = store_rows(context, to[i], from[i].output->data, static_cast<size_t>(rows), stream);
      }
      if (status != NSAMETA_OK) return status;
    }
    return NSAMETA_OK;
  }

 private:
  static int64_t num_plan_rows(const desc_t& device, const build_extent& extent, const nsameta_output& host) {
    const int64_t num_tokens = extent.num_tokens;
    if (num_tokens <= device.topk_plan_clusters || num_tokens > build_metadata::kMaxPlanTokens) return 0;
    return std::min(int64_t{static_cast<const int32_t*>(host.data)[1]} + 1, host.capacity);
  }

  static nsameta_status store_rows(const nsameta_context& context, const output_view& to, const void* from, size_t rows,
                                   void* stream) {
    const size_t row_bytes = host_row_bytes(to);
    const bool has_gaps = to.kind == output_kind::REQUEST_ROW && to.output->row_stride != to.output->num_columns;
    if (!has_gaps) return copy_out(context, to.output->data, from, row_bytes * rows, stream);
    const auto device_step = static_cast<size_t>(to.output->row_stride * dtype_bytes(to.output->dtype));
    for (size_t row = 0; row < rows; ++row) {
      const auto status = copy_out(context, static_cast<std::byte*>(to.output->data) + row * device_step,
                                   static_cast<const std::byte*>(from) + row * row_bytes, row_bytes, stream);
      if (status != NSAMETA_OK) return status;
    }
    return NSAMETA_OK;
  }

  growing_buffer buffers_[kNumOutputs];  // in the order of outputs.def; not of tables
  staged_table slots_;
  staged_table pages_;
};

class staged_build_metadata final : public staged_run<desc_t> {
 public:
  explicit staged_build_metadata(const desc_t& desc)
      : seq_lens_(desc.seq_lens, desc.batch),
        extend_seq_lens_(desc.extend_seq_lens, num_extend_elements(desc)),
        outputs_(static_cast<size_t>(desc.num_sets)) {
    if (wants_slots(desc)) pool_ = std::make_unique<staged_pool>(desc);
    for (size_t i = 0; i < outputs_.size(); ++i) outputs_[i].make(desc.sets[i]);
  }

  nsameta_status run(const nsameta_context& context, const desc_t& device, void* stream) override {
    if (const auto status = refuse_capture(context, "build_metadata", stream); status != NSAMETA_OK) return status;
    desc_t host = device;
    if (const auto status = fetch_lengths(context, device, stream, &host); status != NSAMETA_OK) return status;
    const build_extent extent(host);
    if (pool_ != nullptr) {
      if (const auto status = pool_->fetch(context, device, extent, stream, &host); status != NSAMETA_OK) return status;
    }
    for (size_t i = 0; i < outputs_.size(); ++i) outputs_[i].bind(device, device.sets[i], extent, &host.sets[i]);
    const auto status = context.backend->build_metadata(context.state, &host, nullptr);
    if (status != NSAMETA_OK) return from_backend(*context.backend, status);
    for (size_t i = 0; i < outputs_.size(); ++i) {
      const auto stored = outputs_[i].store(context, device, device.sets[i], host.sets[i], extent, stream);
      if (stored != NSAMETA_OK) return stored;
    }
    return NSAMETA_OK;
  }

 private:
  nsameta_status fetch_lengths(const nsameta_context& context, const desc_t& device, void* stream, desc_t* host) {
    auto status = seq_lens_.fetch(context, device.seq_lens, device.batch, stream, &host->seq_lens);
    if (status == NSAMETA_OK) {
      status = extend_seq_lens_.fetch(context, device.extend_seq_lens, num_extend_elements(device), stream,
                                      &host->extend_seq_lens);
    }
    if (status == NSAMETA_OK && device.num_requests != nullptr) {
      status = copy_in(context, &num_requests_, device.num_requests, sizeof(num_requests_), stream);
      host->num_requests = &num_requests_;
    }
    return status;
  }

  staged_lengths seq_lens_;
  staged_lengths extend_seq_lens_;
  int32_t num_requests_ = 0;
  std::unique_ptr<staged_pool> pool_;
  std::vector<staged_outputs> outputs_;  // of each set
};

}  // namespace

nsameta_status narrow(const desc_t& bound, const run_bounds& bounds, desc_t* desc) {
  if (bounds.batch < -1 || bounds.batch > bound.batch) {
    return fail(NSAMETA_INVALID_ARGUMENT, "batch=%" PRId32 " must be in [-1, %" PRId32 "], the batch of the plan",
                bounds.batch, bound.batch);
  }
  desc->batch = bounds.batch < 0 ? bound.batch : bounds.batch;
  desc->num_tokens_bound = bounds.num_tokens < 0 ? bound.num_tokens_bound : bounds.num_tokens;
  desc->max_kv_bound = bounds.max_kv < 0 ? bound.max_kv_bound : bounds.max_kv;
  return NSAMETA_OK;
}

std::unique_ptr<staged_run<desc_t>> make_staged(const desc_t& desc) {
  return std::make_unique<staged_build_metadata>(desc);
}

}  // namespace nsameta::dispatch
