#include "tests/support/device_block.h"

#include <cstring>

namespace nsameta::test {

device_block::~device_block() { nsameta_device_free(context_, data_); }

void device_block::allocate() {
  ASSERT_EQ(nsameta_device_alloc(context_, image_.size_bytes(), &data_), NSAMETA_OK) << nsameta_last_error_message();
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
