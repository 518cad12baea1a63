#include "tests/support/random.h"

#include <chrono>
#include <cstdlib>

namespace nsameta::test {

uint64_t seed() {
  static const uint64_t value = [] {
    if (const char* text = std::getenv("NSAMETA_TEST_SEED"); text != nullptr && *text != '\0') {
      return static_cast<uint64_t>(std::strtoull(text, nullptr, 10));
    }
    const auto ticks = std::chrono::system_clock::now().time_since_epoch().count();
    return static_cast<uint64_t>(ticks) % 1'000'000'000;
  }();
  return value;
}

uint64_t num_cases(uint64_t usual) {
  const char* text = std::getenv("NSAMETA_TEST_CASES");
  return text != nullptr && *text != '\0' ? static_cast<uint64_t>(std::strtoull(text, nullptr, 10)) : usual;
}

random_source::random_source(const uint8_t* bytes, size_t num_bytes) : bytes_(bytes), num_bytes_(num_bytes) {
  uint64_t hash = 0xCBF29CE484222325U;
  for (size_t i = 0; i < num_bytes; ++i) hash = (hash ^ bytes[i]) * 0x00000100000001B3U;
  engine_.seed(hash);
}

int64_t random_source::from_bytes(int64_t low, int64_t high) {
  const uint64_t range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  uint64_t drawn = 0;
  for (uint64_t left = range; left > 0 && num_bytes_ > 0; left >>= 8U, --num_bytes_) drawn = drawn << 8U | *bytes_++;
  if (range != UINT64_MAX) drawn %= range + 1;
  return static_cast<int64_t>(static_cast<uint64_t>(low) + drawn);
}

}  // namespace nsameta::test
