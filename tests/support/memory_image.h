// The memory of one test case: all tensors in one block, with guards between them, every byte of it poisoned. Comparing
// the whole block with what is expected shows any write outside the contract, wherever it lands.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace nsameta::test {

class memory_image {
 public:
  // Adds `num_elements` elements that begin `offset_elements` behind a 256-byte boundary; returns the region's number.
  int add(std::string name, int element_bytes, int64_t num_elements, int64_t offset_elements);

  // Overwrites everything with a pattern that differs from word to word and from salt to salt.
  void poison(uint32_t salt);

  void set(int region_idx, int64_t element_idx, int64_t value) {
    const auto& where = regions_[static_cast<size_t>(region_idx)];
    std::byte* const element =
        bytes_.data() + where.begin_bytes + static_cast<size_t>(element_idx) * where.element_bytes;
    const auto low = static_cast<int32_t>(static_cast<uint32_t>(static_cast<uint64_t>(value)));
    if (where.element_bytes == sizeof(value)) {
      std::memcpy(element, &value, sizeof(value));
    } else {
      std::memcpy(element, &low, sizeof(low));
    }
  }
  size_t offset_bytes(int region_idx) const { return regions_[static_cast<size_t>(region_idx)].begin_bytes; }
  const std::vector<std::byte>& bytes() const { return bytes_; }
  size_t size_bytes() const;

  // Names region, element, both values of the first difference.
  testing::AssertionResult equals(const std::vector<std::byte>& got) const;

 private:
  struct region {
    std::string name;
    size_t begin_bytes;
    size_t end_bytes;
    size_t element_bytes;
  };

  static constexpr size_t kGuardBytes = 256;

  int64_t read(const std::vector<std::byte>& bytes, size_t offset, size_t element_bytes) const;
  const region& nearest(size_t offset) const;

  std::vector<region> regions_;
  std::vector<std::byte> bytes_;
};

}  // namespace nsameta::test
