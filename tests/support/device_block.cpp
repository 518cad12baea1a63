#include "tests/support/device_block.h"

#include <cstring>

namespace nsameta::test {

nsameta_status device_memory::at_least(size_t bytes, void** data) {
  if (bytes > bytes_) {
    nsameta_device_free(context_, data_);
    data_ = nullptr;
    bytes_ = 0;
    const size_t roomy = bytes + bytes / 2;
    if (const auto status = nsameta_device_alloc(context_, roomy, &data_); status != NSAMETA_OK) return status;
    bytes_ = roomy;
  }
  *data = data_;
  return NSAMETA_OK;
}

device_block::~device_block() {
  if (memory_ == nullptr) nsameta_device_free(context_, data_);
}

void device_block::allocate() {
  const size_t bytes = image_.size_bytes();
  const auto status =
      memory_ != nullptr ? memory_->at_least(bytes, &data_) : nsameta_device_alloc(context_, bytes, &data_);
  ASSERT_EQ(status, NSAMETA_OK) << nsameta_last_error_message();
}

void* device_block::address(int region, int64_t element_idx, int element_bytes) const {
  const auto offset = static_cast<int64_t>(image_.offset_bytes(region)) + element_idx * element_bytes;
  return static_cast<std::byte*>(data_) + offset;
}

void device_block::upload() {
  const auto& bytes = image_.bytes();
  ASSERT_EQ(nsameta_copy_to_device(context_, data_, bytes.data(), bytes.size(), stream_), NSAMETA_OK)
      << nsameta_last_error_message();
}

testing::AssertionResult device_block::equals(const memory_image& expected) const {
  std::vector<std::byte> got(image_.size_bytes());
  if (nsameta_copy_to_host(context_, got.data(), data_, got.size(), stream_) != NSAMETA_OK) {
    return testing::AssertionFailure() << nsameta_last_error_message();
  }
  return expected.equals(got);
}

std::vector<int64_t> read_elements(const memory_image& image, int region, int element_bytes, int64_t count) {
  std::vector<int64_t> elements(static_cast<size_t>(count));
  const std::byte* from = image.bytes().data() + image.offset_bytes(region);
  for (auto& element : elements) {
    int32_t narrow = 0;
    if (element_bytes == sizeof(element)) {
      std::memcpy(&element, from, sizeof(element));
    } else {
      std::memcpy(&narrow, from, sizeof(narrow));
      element = narrow;
    }
    from += element_bytes;
  }
  return elements;
}

}  // namespace nsameta::test
