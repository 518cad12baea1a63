#include "dispatch/staging.h"

#include <algorithm>
#include <new>
#include <vector>

#include "core/status.h"
#include "core/tensor.h"

namespace nsameta::dispatch {
namespace {

constexpr size_t kAlignmentBytes = 64;
// Strided cells travel with all that lies between them up to this stride, one at a time beyond.
constexpr int64_t kMaxGatheredStride = 16;

// Bytes from the lowest to the end of the highest of `count` elements, and where element 0 is among them.
struct span {
  size_t bytes;
  size_t first_offset;
};

span span_of_lengths(const nsameta_lengths& lengths, int64_t count) {
  const int64_t element = dtype_bytes(lengths.dtype);
  if (count == 0) return {0, 0};
  const int64_t reach = (count - 1) * lengths.stride * element;
  return {static_cast<size_t>(std::abs(reach) + element), static_cast<size_t>(std::max<int64_t>(-reach, 0))};
}

}  // namespace

host_buffer::host_buffer(size_t bytes) {
  const size_t rounded = (bytes / kAlignmentBytes + 1) * kAlignmentBytes;
  data_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignmentBytes, rounded)));
  if (data_ == nullptr) throw std::bad_alloc();
}

void* growing_buffer::at_least(size_t bytes) {
  if (buffer_.data() == nullptr || bytes > bytes_) {
    buffer_ = host_buffer();
    buffer_ = host_buffer(bytes);
    bytes_ = bytes;
  }
  return buffer_.data();
}

staged_lengths::staged_lengths(const nsameta_lengths& device, int64_t count)
    : buffer_(span_of_lengths(device, count).bytes) {}

nsameta_status staged_lengths::fetch(const nsameta_context& context, const nsameta_lengths& device, int64_t count,
                                     void* stream, nsameta_lengths* host) const {
  const span range = span_of_lengths(device, count);
  *host = device;
  host->data = buffer_.data() + range.first_offset;
  if (range.bytes == 0) return NSAMETA_OK;
  const auto* lowest = static_cast<const std::byte*>(device.data) - range.first_offset;
  return copy_in(context, buffer_.data(), lowest, range.bytes, stream);
}

int32_t read_length(const nsameta_lengths& lengths, int64_t i) {
  return static_cast<int32_t>(read_wide_length(lengths, i));
}

int64_t read_wide_length(const nsameta_lengths& lengths, int64_t i) {
  if (lengths.dtype == NSAMETA_INT64) return static_cast<const int64_t*>(lengths.data)[i * lengths.stride];
  return static_cast<const int32_t*>(lengths.data)[i * lengths.stride];
}

nsameta_status copy_in(const nsameta_context& context, void* host, const void* device, size_t bytes, void* stream) {
  if (bytes == 0) return NSAMETA_OK;
  const nsameta_backend& owner = *context.owner;
  return from_backend(owner, owner.copy_to_host(context.owner_state, host, device, bytes, stream));
}

nsameta_status copy_out(const nsameta_context& context, void* device, const void* host, size_t bytes, void* stream) {
  if (bytes == 0) return NSAMETA_OK;
  const nsameta_backend& owner = *context.owner;
  return from_backend(owner, owner.copy_to_device(context.owner_state, device, host, bytes, stream));
}

nsameta_status copy_cells_in(const nsameta_context& context, int32_t* host, const int32_t* device, int64_t num,
                             int64_t stride, void* stream) {
  if (num <= 0) return NSAMETA_OK;
  if (stride == 1) return copy_in(context, host, device, static_cast<size_t>(num) * sizeof(int32_t), stream);
  if (std::abs(stride) <= kMaxGatheredStride) {
    const int64_t reach = (num - 1) * stride;
    std::vector<int32_t> cells(static_cast<size_t>(std::abs(reach)) + 1);
    const int64_t first = std::max<int64_t>(-reach, 0);
    const auto status = copy_in(context, cells.data(), device - first, cells.size() * sizeof(int32_t), stream);
    for (int64_t i = 0; status == NSAMETA_OK && i < num; ++i) host[i] = cells[static_cast<size_t>(first + i * stride)];
    return status;
  }
  for (int64_t i = 0; i < num; ++i) {
    const auto status = copy_in(context, host + i, device + i * stride, sizeof(int32_t), stream);
    if (status != NSAMETA_OK) return status;
  }
  return NSAMETA_OK;
}

nsameta_status refuse_capture(const nsameta_context& context, const char* op, void* stream) {
  int32_t is_capturing = 0;
  const nsameta_backend& owner = *context.owner;
  const nsameta_status status = owner.is_capturing(context.owner_state, stream, &is_capturing);
  if (status != NSAMETA_OK) return from_backend(owner, status);
  if (is_capturing == 0) return NSAMETA_OK;
  return fail(NSAMETA_UNSUPPORTED,
              "%s runs staged on backend %s for %s:%d (%s), which synchronises and cannot be captured in a graph; "
              "lift that choice, or run outside the capture",
              op, context.backend->name, device_type_name(context.device.type), context.device.id,
              context.reason.c_str());
}

}  // namespace nsameta::dispatch
