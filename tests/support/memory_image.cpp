#include "tests/support/memory_image.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace nsameta::test {

int memory_image::add(std::string name, int element_bytes, int64_t num_elements, int64_t offset_elements) {
  const auto width = static_cast<size_t>(element_bytes);
  const size_t previous_end = regions_.empty() ? 0 : regions_.back().end_bytes;
  const size_t boundary = (previous_end + kGuardBytes + 255) / 256 * 256;
  const size_t begin = boundary + static_cast<size_t>(offset_elements) * width;
  regions_.push_back({std::move(name), begin, begin + static_cast<size_t>(num_elements) * width, width});
  return static_cast<int>(regions_.size()) - 1;
}

size_t memory_image::size_bytes() const { return (regions_.back().end_bytes + kGuardBytes + 7) / 8 * 8; }

void memory_image::poison(uint32_t salt) {
  bytes_.resize(size_bytes());
  std::byte* const bytes = bytes_.data();
  const size_t num_bytes = bytes_.size();
  for (size_t i = 0; i < num_bytes; i += sizeof(uint32_t)) {
    const uint32_t word = (static_cast<uint32_t>(i) ^ salt) * 2654435761U | 0x40000000U;
    std::memcpy(bytes + i, &word, sizeof(word));
  }
}

int64_t memory_image::read(const std::vector<std::byte>& bytes, size_t offset, size_t element_bytes) const {
  int64_t wide = 0;
  int32_t narrow = 0;
  if (element_bytes == sizeof(wide) && offset + sizeof(wide) <= bytes.size()) {
    std::memcpy(&wide, &bytes[offset], sizeof(wide));
    return wide;
  }
  std::memcpy(&narrow, &bytes[offset], sizeof(narrow));
  return narrow;
}

const memory_image::region& memory_image::nearest(size_t offset) const {
  const auto distance = [&](const region& r) {
    return offset < r.begin_bytes ? r.begin_bytes - offset : offset < r.end_bytes ? 0 : offset - r.end_bytes + 1;
  };
  return *std::min_element(regions_.begin(), regions_.end(),
                           [&](const region& a, const region& b) { return distance(a) < distance(b); });
}

testing::AssertionResult memory_image::equals(const std::vector<std::byte>& got) const {
  if (got.size() == bytes_.size() && std::memcmp(got.data(), bytes_.data(), got.size()) == 0) {
    return testing::AssertionSuccess();
  }
  const auto difference = std::mismatch(bytes_.begin(), bytes_.end(), got.begin(), got.end());
  const auto at = static_cast<size_t>(difference.first - bytes_.begin());
  if (at == bytes_.size()) return testing::AssertionFailure() << "sizes of the two images differ";
  const region& where = nearest(at);
  const auto width = static_cast<int64_t>(where.element_bytes);
  const int64_t distance = static_cast<int64_t>(at) - static_cast<int64_t>(where.begin_bytes);
  const int64_t element_idx = distance >= 0 ? distance / width : -((-distance + width - 1) / width);
  const auto offset = static_cast<size_t>(static_cast<int64_t>(where.begin_bytes) + element_idx * width);
  return testing::AssertionFailure() << where.name << "[" << element_idx << "]: expected "
                                     << read(bytes_, offset, where.element_bytes) << ", got "
                                     << read(got, offset, where.element_bytes) << " ("
                                     << (static_cast<int64_t>(where.end_bytes) -
                                         static_cast<int64_t>(where.begin_bytes)) /
                                            width
                                     << " elements in the buffer)";
}

}  // namespace nsameta::test
