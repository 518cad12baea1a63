// Parts of a staged run that every operation shares: host copies of device memory, moved by the backend that owns it.
#pragma once

#include <cstdlib>
#include <memory>

#include "dispatch/context.h"

namespace nsameta::dispatch {

// Uninitialised host memory, aligned for any vector instruction, never NULL. Throws std::bad_alloc.
class host_buffer {
 public:
  host_buffer() = default;
  explicit host_buffer(size_t bytes);
  std::byte* data() const { return data_.get(); }

 private:
  struct release {
    void operator()(std::byte* data) const { std::free(data); }
  };
  std::unique_ptr<std::byte, release> data_;
};

// Host memory that grows when a run needs more than the ones before it.
class growing_buffer {
 public:
  void* at_least(size_t bytes);

 private:
  host_buffer buffer_;
  size_t bytes_ = 0;
};

// The host copy of an input vector: all bytes that its elements span, so that the stride stays as it is.
class staged_lengths {
 public:
  staged_lengths() = default;
  // count: the most elements that fetch will be asked for.
  staged_lengths(const nsameta_lengths& device, int64_t count);
  // Fills the first `count` elements and makes `host` their view.
  [[nodiscard]] nsameta_status fetch(const nsameta_context& context, const nsameta_lengths& device, int64_t count,
                                     void* stream, nsameta_lengths* host) const;

 private:
  host_buffer buffer_;
};

// Element of an input as all backends read it.
int32_t read_length(const nsameta_lengths& lengths, int64_t i);
// The same with all its bits.
int64_t read_wide_length(const nsameta_lengths& lengths, int64_t i);

[[nodiscard]] nsameta_status copy_in(const nsameta_context& context, void* host, const void* device, size_t bytes,
                                     void* stream);
[[nodiscard]] nsameta_status copy_out(const nsameta_context& context, void* device, const void* host, size_t bytes,
                                      void* stream);
// Cell i comes from device[i * stride], and lands in host[i].
[[nodiscard]] nsameta_status copy_cells_in(const nsameta_context& context, int32_t* host, const int32_t* device,
                                           int64_t num, int64_t stride, void* stream);

// UNSUPPORTED while `stream` is being captured: the copies synchronise, which a capture cannot record.
[[nodiscard]] nsameta_status refuse_capture(const nsameta_context& context, const char* op, void* stream);

}  // namespace nsameta::dispatch
