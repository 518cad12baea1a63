// A memory_image in the memory of a context: the buffers of one test, with guards between them.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "nsameta/device.h"
#include "tests/support/memory_image.h"

namespace nsameta::test {

// Memory of a context that serves one block after another: allocating takes longer than most cases.
class device_memory {
 public:
  explicit device_memory(nsameta_context* context) : context_(context) {}
  ~device_memory() { nsameta_device_free(context_, data_); }
  device_memory(const device_memory&) = delete;
  device_memory& operator=(const device_memory&) = delete;

  nsameta_status at_least(size_t bytes, void** data);

 private:
  nsameta_context* context_;
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

class device_block {
 public:
  // memory: where the block lies, one at a time; NULL: in memory of its own.
  device_block(nsameta_context* context, void* stream, device_memory* memory = nullptr)
      : context_(context), stream_(stream), memory_(memory) {}
  ~device_block();
  device_block(const device_block&) = delete;
  device_block& operator=(const device_block&) = delete;

  memory_image& image() { return image_; }
  const memory_image& image() const { return image_; }
  void* data() const { return data_; }

  // Once all regions have been added.
  void allocate();
  // Of element `element_idx` of a region, on the device.
  void* address(int region, int64_t element_idx, int element_bytes) const;

  // Stores the image on the device.
  void upload();
  testing::AssertionResult equals(const memory_image& expected) const;
  testing::AssertionResult is_untouched() const { return equals(image_); }

 private:
  nsameta_context* context_;
  void* stream_;
  device_memory* memory_;
  memory_image image_;
  void* data_ = nullptr;
};

// Reads elements out of an image.
std::vector<int64_t> read_elements(const memory_image& image, int region, int element_bytes, int64_t count);

}  // namespace nsameta::test
