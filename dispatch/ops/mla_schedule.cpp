#include "core/ops/mla_schedule.h"

#include <cinttypes>

#include "core/status.h"
#include "core/tensor.h"
#include "dispatch/op.h"
#include "dispatch/staging.h"

namespace nsameta::dispatch {
namespace {

using desc_t = nsameta_mla_schedule_desc;

class staged_mla_schedule final : public staged_run<desc_t> {
 public:
  explicit staged_mla_schedule(const desc_t& desc)
      : seq_lens_(desc.seq_lens, num_lengths(desc)), parts_(parts_bytes(desc)), num_splits_(splits_bytes(desc)) {}

  nsameta_status run(const nsameta_context& context, const desc_t& device, void* stream) override {
    if (const auto status = refuse_capture(context, "mla_schedule", stream); status != NSAMETA_OK) return status;
    desc_t host = device;
    host.parts = reinterpret_cast<int32_t*>(parts_.data());
    host.num_splits = reinterpret_cast<int32_t*>(num_splits_.data());
    auto status = NSAMETA_OK;
    if (num_lengths(device) > 0) {
      status = seq_lens_.fetch(context, device.seq_lens, num_lengths(device), stream, &host.seq_lens);
    }
    // Rows hold words that stay as they are, so they travel both ways.
    if (status == NSAMETA_OK) status = copy_in(context, host.parts, device.parts, parts_bytes(device), stream);
    if (status != NSAMETA_OK) return status;
    status = from_backend(*context.backend, context.backend->mla_schedule(context.state, &host, nullptr));
    if (status == NSAMETA_OK) status = copy_out(context, device.parts, host.parts, parts_bytes(device), stream);
    if (status != NSAMETA_OK) return status;
    return copy_out(context, device.num_splits, host.num_splits, splits_bytes(device), stream);
  }

 private:
  static int64_t num_lengths(const desc_t& desc) { return desc.seq_lens.data == nullptr ? 0 : desc.batch; }
  static size_t parts_bytes(const desc_t& desc) {
    return static_cast<size_t>(desc.num_parts * mla_schedule::kRowWords) * sizeof(int32_t);
  }
  static size_t splits_bytes(const desc_t& desc) { return (static_cast<size_t>(desc.batch) + 1) * sizeof(int32_t); }

  staged_lengths seq_lens_;
  host_buffer parts_;
  host_buffer num_splits_;
};

}  // namespace

nsameta_status narrow(const desc_t& bound, const run_bounds& bounds, desc_t* desc) {
  if (bounds.batch < -1 || bounds.batch > bound.batch) {
    return fail(NSAMETA_INVALID_ARGUMENT, "batch=%" PRId32 " must be in [-1, %" PRId32 "], the batch of the plan",
                bounds.batch, bound.batch);
  }
  desc->batch = bounds.batch < 0 ? bound.batch : bounds.batch;
  return NSAMETA_OK;
}

std::unique_ptr<staged_run<desc_t>> make_staged(const desc_t& desc) {
  return std::make_unique<staged_mla_schedule>(desc);
}

}  // namespace nsameta::dispatch
