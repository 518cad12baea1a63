// Random numbers for tests. One seed a process: NSAMETA_TEST_SEED, or drawn from the clock; main() prints it.
#pragma once

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
  explicit random_source(uint64_t stream) : engine_(seed() * 0x9E3779B97F4A7C15U + stream) {}

  int64_t in(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(engine_); }
  bool chance(int percent) { return in(1, 100) <= percent; }
  template <typename T>
  T pick(std::initializer_list<T> values) {
    return values.begin()[in(0, static_cast<int64_t>(values.size()) - 1)];
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace nsameta::test
