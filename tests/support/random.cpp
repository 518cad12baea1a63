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

}  // namespace nsameta::test
