// Random numbers for tests. One seed a process: NSAMETA_TEST_SEED, or drawn from the clock; main() prints it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>

namespace nsameta::test {

uint64_t seed();

// NSAMETA_TEST_CASES, or `usual` where it is not set.
uint64_t num_cases(uint64_t usual);

class random_source {
 public:
  // `stream` tells the users of one seed apart.
  explicit random_source(uint64_t stream) : random_source(seed(), stream) {}
  random_source(uint64_t seed, uint64_t stream) : engine_(seed * 0x9E3779B97F4A7C15U + stream) {}
  // The bytes decide as long as there are any, so that a fuzzer that changes one changes one choice. They must outlive
  // this.
  random_source(const uint8_t* bytes, size_t num_bytes);

  int64_t in(int64_t low, int64_t high) {
    return num_bytes_ > 0 ? from_bytes(low, high) : std::uniform_int_distribution<int64_t>(low, high)(engine_);
  }
  bool chance(int percent) { return in(1, 100) <= percent; }
  template <typename T>
  T pick(std::initializer_list<T> values) {
    return values.begin()[in(0, static_cast<int64_t>(values.size()) - 1)];
  }

 private:
  int64_t from_bytes(int64_t low, int64_t high);

  std::mt19937_64 engine_;
  const uint8_t* bytes_ = nullptr;
  size_t num_bytes_ = 0;
};

}  // namespace nsameta::test
