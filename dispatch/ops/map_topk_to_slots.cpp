#include "core/ops/map_topk_to_slots.h"

#include <cinttypes>

#include "core/status.h"
#include "core/tensor.h"
#include "dispatch/op.h"
#include "dispatch/staged_view.h"

namespace nsameta::dispatch {
namespace {

using desc_t = nsameta_map_topk_to_slots_desc;

strided_view rows_view(const int32_t* data, int64_t num_rows, int64_t num_columns, int64_t row_stride,
                       int64_t column_stride = 1) {
  return {reinterpret_cast<std::byte*>(const_cast<int32_t*>(data)),
          num_rows,
          num_columns,
          row_stride,
          column_stride,
          sizeof(int32_t)};
}

int32_t* as_int32(const staged_view& view) { return reinterpret_cast<int32_t*>(view.host().data); }

int64_t read_pool_row(const nsameta_lengths& indices, int64_t request) {
  const int64_t at = request * indices.stride;
  return indices.dtype == NSAMETA_INT64 ? static_cast<const int64_t*>(indices.data)[at]
                                        : static_cast<const int32_t*>(indices.data)[at];
}

class staged_map_topk_to_slots final : public staged_run<desc_t> {
 public:
  explicit staged_map_topk_to_slots(const desc_t& desc)
      : topk_(rows_view(desc.topk_indices, desc.num_tokens, desc.num_topk, desc.topk_row_stride)),
        slots_(rows_view(desc.slots, desc.num_tokens, desc.num_topk, desc.slots_row_stride)),
        offset_(desc.offset, count_of(desc.offset, desc.num_tokens)),
        req_pool_indices_(desc.req_pool_indices, count_of(desc.req_pool_indices, desc.num_requests)),
        token_to_batch_(desc.token_to_batch, count_of(desc.token_to_batch, desc.num_tokens)),
        cu_seqlens_q_(desc.cu_seqlens_q, count_of(desc.cu_seqlens_q, int64_t{desc.num_requests} + 1)) {
    if (desc.num_valid != nullptr) num_valid_ = staged_view(rows_view(desc.num_valid, 1, desc.num_tokens, 0));
    if (desc.table.data == nullptr) return;
    const nsameta_matrix& t = desc.table;
    table_ = staged_view(rows_view(t.data, t.num_rows, t.num_columns, t.row_stride, t.column_stride));
  }

  nsameta_status run(const nsameta_context& context, const desc_t& device, void* stream) override {
    if (const auto status = refuse_capture(context, "map_topk_to_slots", stream); status != NSAMETA_OK) return status;
    if (device.num_tokens == 0 || device.num_topk == 0) return NSAMETA_OK;
    desc_t host = device;
    auto status = fetch_vectors(context, device, stream, &host);
    if (status == NSAMETA_OK) status = topk_.fetch(context, device.num_tokens, stream);
    if (status == NSAMETA_OK) status = fetch_table(context, host, stream);
    if (status != NSAMETA_OK) return status;
    host.topk_indices = as_int32(topk_);
    host.topk_row_stride = topk_.host().row_stride;
    host.slots = as_int32(slots_);
    host.slots_row_stride = slots_.host().row_stride;
    if (device.num_valid != nullptr) host.num_valid = as_int32(num_valid_);
    if (device.table.data != nullptr) {
      host.table.data = as_int32(table_);
      host.table.row_stride = table_.host().row_stride;
    }
    status = from_backend(*context.backend, context.backend->map_topk_to_slots(context.state, &host, nullptr));
    if (status == NSAMETA_OK) status = slots_.store(context, device.num_tokens, stream);
    if (status != NSAMETA_OK || device.num_valid == nullptr) return status;
    return copy_out(context, device.num_valid, host.num_valid, static_cast<size_t>(device.num_tokens) * sizeof(int32_t),
                    stream);
  }

 private:
  static int64_t count_of(const nsameta_lengths& vector, int64_t count) { return vector.data == nullptr ? 0 : count; }

  nsameta_status fetch_vectors(const nsameta_context& context, const desc_t& device, void* stream, desc_t* host) const {
    const int64_t num_requests = device.num_requests;
    const struct {
      const staged_lengths& staged;
      const nsameta_lengths& device;
      int64_t count;
      nsameta_lengths* host;
    } vectors[] = {{offset_, device.offset, device.num_tokens, &host->offset},
                   {req_pool_indices_, device.req_pool_indices, num_requests, &host->req_pool_indices},
                   {token_to_batch_, device.token_to_batch, device.num_tokens, &host->token_to_batch},
                   {cu_seqlens_q_, device.cu_seqlens_q, num_requests + 1, &host->cu_seqlens_q}};
    auto status = NSAMETA_OK;
    for (const auto& v : vectors) {
      if (v.device.data == nullptr || status != NSAMETA_OK) continue;
      status = v.staged.fetch(context, v.device, v.count, stream, v.host);
    }
    return status;
  }

  // Of req_to_token only the rows of the requests: the pool may be gigabytes.
  nsameta_status fetch_table(const nsameta_context& context, const desc_t& host, void* stream) const {
    if (host.source == NSAMETA_SLOTS_OF_TOKEN) return table_.fetch(context, host.num_tokens, stream);
    if (host.source == NSAMETA_SLOTS_FLATTENED) return table_.fetch(context, 1, stream);
    auto status = NSAMETA_OK;
    for (int64_t r = 0; r < host.num_requests && status == NSAMETA_OK; ++r) {
      const int64_t row = read_pool_row(host.req_pool_indices, r);
      if (row >= 0 && row < host.table.num_rows) status = table_.fetch_row(context, row, stream);
    }
    return status;
  }

  staged_view topk_;
  staged_view slots_;
  staged_view num_valid_;
  staged_view table_;
  staged_lengths offset_;
  staged_lengths req_pool_indices_;
  staged_lengths token_to_batch_;
  staged_lengths cu_seqlens_q_;
};

}  // namespace

nsameta_status narrow(const desc_t& bound, const run_bounds& bounds, desc_t* desc) {
  if (bounds.batch < -1 || bounds.batch > bound.num_tokens) {
    return fail(NSAMETA_INVALID_ARGUMENT, "batch=%" PRId32 " must be in [-1, %" PRId32 "], the tokens of the plan",
                bounds.batch, bound.num_tokens);
  }
  desc->num_tokens = bounds.batch < 0 ? bound.num_tokens : bounds.batch;
  return NSAMETA_OK;
}

std::unique_ptr<staged_run<desc_t>> make_staged(const desc_t& desc) {
  return std::make_unique<staged_map_topk_to_slots>(desc);
}

}  // namespace nsameta::dispatch
