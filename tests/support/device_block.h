// A memory_image in the memory of a context: the buffers of one test, with guards between them.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "nsameta/device.h"
#include "tests/support/memory_image.h"

namespace nsameta::test {

class device_block {
 public:
  device_block(nsameta_context* context, void* stream) : context_(context), stream_(stream) {}
  ~device_block();
  device_block(const device_block&) = delete;
  device_block& operator=(const device_block&) = delete;

  memory_image& image() { return image_; }

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
  memory_image image_;
  void* data_ = nullptr;
};

// Reads elements out of an image.
std::vector<int64_t> read_elements(const memory_image& image, int region, int element_bytes, int64_t count);

}  // namespace nsameta::test
