#include "core/ops/copy_metadata.h"

#include <cinttypes>
#include <vector>

#include "core/status.h"
#include "core/tensor.h"
#include "dispatch/op.h"
#include "dispatch/staged_view.h"

namespace nsameta::dispatch {
namespace {

using desc_t = nsameta_copy_metadata_desc;

// Pair by pair, so that destinations that lie in each other's gaps come out right.
class staged_copy_metadata final : public staged_run<desc_t> {
 public:
  explicit staged_copy_metadata(const desc_t& desc) {
    pairs_.reserve(static_cast<size_t>(desc.num_copies));
    for (int32_t i = 0; i < desc.num_copies; ++i) {
      const nsameta_copy& c = desc.copies[i];
      const int64_t bytes = dtype_bytes(c.dtype);
      auto* source = static_cast<std::byte*>(const_cast<void*>(c.source));
      auto* destination = static_cast<std::byte*>(c.destination);
      pairs_.push_back(
          {staged_view({source, c.num_rows, c.num_columns, c.source_row_stride, c.source_column_stride, bytes}),
           staged_view({destination, c.num_rows, c.num_columns, c.destination_row_stride, c.destination_column_stride,
                        bytes})});
    }
  }

  nsameta_status run(const nsameta_context& context, const desc_t& device, void* stream) override {
    auto status = refuse_capture(context, "copy_metadata", stream);
    for (int32_t i = 0; i < device.num_copies && status == NSAMETA_OK; ++i) {
      status = run_pair(context, device.copies[i], pairs_[static_cast<size_t>(i)], stream);
    }
    return status;
  }

 private:
  struct pair {
    staged_view source;
    staged_view destination;
  };

  static nsameta_status run_pair(const nsameta_context& context, const nsameta_copy& device, const pair& staged,
                                 void* stream) {
    auto status = staged.source.fetch(context, device.num_rows, stream);
    if (status == NSAMETA_OK && staged.destination.has_gaps()) {
      status = staged.destination.fetch(context, device.num_rows, stream);
    }
    if (status != NSAMETA_OK) return status;
    desc_t host;
    host.num_copies = 1;
    host.reserved = 0;
    host.copies[0] = device;
    const strided_view& source = staged.source.host();
    const strided_view& destination = staged.destination.host();
    host.copies[0].source = source.data;
    host.copies[0].source_row_stride = source.row_stride;
    host.copies[0].destination = destination.data;
    host.copies[0].destination_row_stride = destination.row_stride;
    status = from_backend(*context.backend, context.backend->copy_metadata(context.state, &host, nullptr));
    return status == NSAMETA_OK ? staged.destination.store(context, device.num_rows, stream) : status;
  }

  std::vector<pair> pairs_;
};

}  // namespace

nsameta_status narrow(const desc_t&, const run_bounds& bounds, desc_t*) {
  if (bounds.batch != -1) {
    return fail(NSAMETA_INVALID_ARGUMENT, "batch=%" PRId32 " must be -1: copy_metadata copies what it was bound to",
                bounds.batch);
  }
  return NSAMETA_OK;
}

std::unique_ptr<staged_run<desc_t>> make_staged(const desc_t& desc) {
  return std::make_unique<staged_copy_metadata>(desc);
}

}  // namespace nsameta::dispatch
