// A context of the library with a stream of its own: where a replay builds.
#pragma once

#include <cstddef>
#include <string>

#include "nsameta/nsameta.hpp"

namespace nsameta::cli {

class session {
 public:
  // backend: "auto" or a name, as for nsameta_context_create.
  session(nsameta_device device, const std::string& backend) : context_(device, backend), stream_(context_) {}
  ~session() = default;
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  const nsameta::context& context() const { return context_; }
  const nsameta::stream& stream() const { return stream_; }
  std::string backend() const { return context_.backend(); }
  nsameta_device device() const { return context_.device(); }
  bool is_staged() const { return context_.is_staged(); }
  // Tensors are in host memory: nothing to copy, nothing to wait for.
  bool is_host() const { return device().type == NSAMETA_DEVICE_CPU; }

  void copy_to_device(void* device_data, const void* host_data, size_t bytes) const {
    context_.copy_to_device(device_data, host_data, bytes, stream_.get());
  }
  void copy_to_host(void* host_data, const void* device_data, size_t bytes) const {
    context_.copy_to_host(host_data, device_data, bytes, stream_.get());
  }

 private:
  nsameta::context context_;
  nsameta::stream stream_;
};

}  // namespace nsameta::cli
