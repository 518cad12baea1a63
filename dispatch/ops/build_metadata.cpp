#include "core/ops/build_metadata.h"

#include <algorithm>
#include <cinttypes>

#include "core/status.h"
#include "dispatch/op.h"
#include "dispatch/staging.h"

namespace nsameta::dispatch {
namespace {

using desc_t = nsameta_build_metadata_desc;
using build_metadata::kNumOutputs;
using build_metadata::list_outputs;
using build_metadata::output_kind;
using build_metadata::output_view;

int64_t num_extend_elements(const desc_t& desc) {
  switch (desc.query_source) {
    case NSAMETA_QUERY_RAGGED: return desc.batch;
    case NSAMETA_QUERY_FIRST: return std::min(desc.batch, 1);
    default: return 0;
  }
}

// T, from lengths that the host can read.
int64_t count_tokens(const desc_t& host) {
  if (host.query_source == NSAMETA_QUERY_CONSTANT) return int64_t{host.batch} * host.query_width;
  const int64_t num_elements = num_extend_elements(host);
  int64_t sum = 0;
  for (int64_t i = 0; i < num_elements; ++i) sum += std::max(read_length(host.extend_seq_lens, i), 0);
  return host.query_source == NSAMETA_QUERY_FIRST ? sum * host.batch : sum;
}

class staged_build_metadata final : public staged_run<desc_t> {
 public:
  explicit staged_build_metadata(const desc_t& desc)
      : seq_lens_(desc.seq_lens, desc.batch), extend_seq_lens_(desc.extend_seq_lens, num_extend_elements(desc)) {
    output_view views[kNumOutputs];
    list_outputs(desc, views);
    for (int i = 0; i < kNumOutputs; ++i) {
      if (views[i].output->data == nullptr) continue;
      outputs_[i] = host_buffer(host_row_bytes(views[i], desc) * static_cast<size_t>(views[i].output->capacity));
    }
  }

  nsameta_status run(const nsameta_context& context, const desc_t& device, void* stream) override {
    if (const auto status = refuse_capture(context, "build_metadata", stream); status != NSAMETA_OK) return status;
    desc_t host = on_host(device);
    if (const auto status = fetch_inputs(context, device, stream, &host); status != NSAMETA_OK) return status;
    const int64_t num_tokens = count_tokens(host);
    const auto status = context.backend->build_metadata(context.state, &host, nullptr);
    if (status != NSAMETA_OK) return from_backend(*context.backend, status);
    return store_outputs(context, device, num_tokens, stream);
  }

 private:
  // Host rows are packed, whatever the device's row stride.
  static size_t host_row_bytes(const output_view& view, const desc_t& desc) {
    const int64_t columns = view.kind == output_kind::REQUEST_ROW ? desc.ctx_lens_columns : 1;
    return static_cast<size_t>(columns * view.element_bytes);
  }

  desc_t on_host(const desc_t& device) const {
    desc_t host = device;
    host.ctx_lens_row_stride = device.ctx_lens_columns;
    int i = 0;
#define NSAMETA_OUTPUT(name, kind) host.name.data = outputs_[i++].data();
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
    return host;
  }

  nsameta_status fetch_inputs(const nsameta_context& context, const desc_t& device, void* stream, desc_t* host) const {
    const auto status = seq_lens_.fetch(context, device.seq_lens, device.batch, stream, &host->seq_lens);
    if (status != NSAMETA_OK) return status;
    return extend_seq_lens_.fetch(context, device.extend_seq_lens, num_extend_elements(device), stream,
                                  &host->extend_seq_lens);
  }

  nsameta_status store_outputs(const nsameta_context& context, const desc_t& device, int64_t num_tokens,
                               void* stream) const {
    output_view views[kNumOutputs];
    list_outputs(device, views);
    for (int i = 0; i < kNumOutputs; ++i) {
      const output_view& view = views[i];
      if (view.output->data == nullptr) continue;
      const size_t row_bytes = host_row_bytes(view, device);
      auto num_rows = static_cast<size_t>(build_metadata::written_count(view, device, num_tokens));
      auto chunk_bytes = row_bytes * num_rows;
      size_t device_step = 0;
      const bool has_gaps =
          view.kind == output_kind::REQUEST_ROW && device.ctx_lens_row_stride != device.ctx_lens_columns;
      if (has_gaps) {
        chunk_bytes = row_bytes;
        device_step = static_cast<size_t>(device.ctx_lens_row_stride * view.element_bytes);
      } else {
        num_rows = 1;
      }
      for (size_t row = 0; row < num_rows; ++row) {
        const auto status = copy_out(context, static_cast<std::byte*>(view.output->data) + row * device_step,
                                     outputs_[i].data() + row * row_bytes, chunk_bytes, stream);
        if (status != NSAMETA_OK) return status;
      }
    }
    return NSAMETA_OK;
  }

  staged_lengths seq_lens_;
  staged_lengths extend_seq_lens_;
  host_buffer outputs_[kNumOutputs];  // in the order of outputs.def
};

}  // namespace

nsameta_status narrow(const desc_t& bound, const run_bounds& bounds, desc_t* desc) {
  if (bounds.batch < -1 || bounds.batch > bound.batch) {
    return fail(NSAMETA_INVALID_ARGUMENT, "batch=%" PRId32 " must be in [-1, %" PRId32 "], the batch of the plan",
                bounds.batch, bound.batch);
  }
  if (bounds.num_tokens < -1) {
    return fail(NSAMETA_INVALID_ARGUMENT, "num_tokens_bound=%" PRId64 " must be -1 or more", bounds.num_tokens);
  }
  if (bounds.max_kv < -1) {
    return fail(NSAMETA_INVALID_ARGUMENT, "max_kv_bound=%" PRId64 " must be -1 or more", bounds.max_kv);
  }
  desc->batch = bounds.batch < 0 ? bound.batch : bounds.batch;
  desc->num_tokens_bound = bounds.num_tokens < 0 ? bound.num_tokens_bound : bounds.num_tokens;
  return NSAMETA_OK;
}

std::unique_ptr<staged_run<desc_t>> make_staged(const desc_t& desc) {
  return std::make_unique<staged_build_metadata>(desc);
}

}  // namespace nsameta::dispatch
