// Small kernels, right and broken in the ways that kernels are: the emulator must run the first and catch the others.
#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/emu/fiber.h"
#include "tests/support/emu/rt.h"

namespace nsameta::emu {
namespace {

constexpr int kThreads = 128;
constexpr int kBlocks = 3;
constexpr int kSeeds = 40;

enum class bug {
  NONE,
  NO_BARRIER_BEFORE_TOTALS,   // totals of the warps are read while some are not there yet
  NO_BARRIER_BEFORE_REUSE,    // shared memory is written again while others still read
  UNINITIALISED_SHARED_READ,  // a total that no warp has written
  SHUFFLE_IN_BRANCH,          // half of the lanes
  SHUFFLES_AT_TWO_LINES,      // each lane in one of two branches
  EARLY_RETURN,               // lanes without work leave before the barrier
  BARRIER_IN_BRANCH,          // one warp
  LANES_OF_32,                // a lane number that forgets waves of 64
  WRITE_BEYOND_THE_END,       // of the output
};

// Sum of the values before each thread of its block, twice: the second time of the first sums.
template <class Rt, bug kBug>
struct block_scan {
  struct params {
    const std::int32_t* values;
    std::int32_t* sums;
    std::int32_t count;
  };
  struct smem {
    std::int32_t total_of_warp[kThreads / Rt::kWarp + 1];
  };

  static int lane() { return kBug == bug::LANES_OF_32 ? Rt::thread_idx() & 31 : Rt::lane(); }

  // Modulo 2^32: broken kernels add what they find.
  static std::int32_t add(std::int32_t a, std::int32_t b) {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(a) + static_cast<std::uint32_t>(b));
  }

  static std::int32_t scan_warp(std::int32_t value) {
    std::int32_t sum = value;
    for (int distance = 1; distance < Rt::kWarp; distance *= 2) {
      const std::int32_t below = Rt::shfl_up(sum, distance);
      if (lane() >= distance) sum = add(sum, below);
    }
    return sum;
  }

  static std::int32_t scan_block(smem& s, std::int32_t value) {
    const std::int32_t up_to = scan_warp(value);
    const int slot = Rt::warp() + (kBug == bug::UNINITIALISED_SHARED_READ ? 1 : 0);
    if (Rt::lane() == Rt::kWarp - 1) s.total_of_warp[slot] = up_to;
    if (kBug != bug::NO_BARRIER_BEFORE_TOTALS) Rt::sync_block();
    std::int32_t before = add(up_to, add(~value, 1));
    for (int warp = 0; warp < Rt::warp(); ++warp) before = add(before, s.total_of_warp[warp]);
    if (kBug != bug::NO_BARRIER_BEFORE_REUSE) Rt::sync_block();
    return before;
  }

  static void run(smem& s, const params& p) {
    const int i = Rt::block_idx() * Rt::block_dim() + Rt::thread_idx();
    if (kBug == bug::EARLY_RETURN && i >= p.count) return;
    if (kBug == bug::SHUFFLE_IN_BRANCH && Rt::lane() < Rt::kWarp / 2) (void)Rt::shfl(i, 0);
    if (kBug == bug::SHUFFLES_AT_TWO_LINES) {
      if (Rt::lane() % 2 == 0) {
        (void)Rt::shfl(i, 0);
      } else {
        (void)Rt::shfl(i, 1);
      }
    }
    if (kBug == bug::BARRIER_IN_BRANCH && Rt::warp() == 0) Rt::sync_block();
    const std::int32_t first = scan_block(s, i < p.count ? p.values[i] : 0);
    const std::int32_t second = scan_block(s, first);
    if (kBug == bug::WRITE_BEYOND_THE_END || i < p.count) p.sums[i] = second;
  }
};

struct outcome {
  std::string failure;
  bool is_right = true;
};

constexpr int kCount = kBlocks * kThreads - 5;

std::vector<std::int32_t> expected_sums(const std::vector<std::int32_t>& values) {
  std::vector<std::int32_t> sums(values.size());
  for (std::size_t block = 0; block < kBlocks; ++block) {
    std::int32_t first = 0;
    std::int32_t second = 0;
    for (std::size_t i = block * kThreads; i < std::min(values.size(), (block + 1) * kThreads); ++i) {
      sums[i] = second;
      second += first;
      first += values[i];
    }
  }
  return sums;
}

template <int kWidth, bug kBug>
outcome run_scan(std::uint64_t seed) {
  std::vector<std::int32_t> values(kCount);
  std::iota(values.begin(), values.end(), 1);
  // Exactly as large as it must be, so that the address sanitizer sees what lies beyond.
  const auto sums = std::make_unique<std::int32_t[]>(kCount);
  using kernel = block_scan<rt<kWidth>, kBug>;
  const std::string failure =
      run_kernel<kernel, kWidth>(kBlocks, 1, kThreads, {values.data(), sums.get(), kCount}, seed);
  return {failure, std::vector<std::int32_t>(sums.get(), sums.get() + kCount) == expected_sums(values)};
}

// In how many of the seeds the bug shows, as an error or a wrong result; `text`: of the first error.
template <int kWidth, bug kBug>
int times_caught(std::string* text = nullptr) {
  int caught = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const outcome o = run_scan<kWidth, kBug>(seed);
    if (text != nullptr && text->empty()) *text = o.failure;
    if (!o.failure.empty() || !o.is_right) ++caught;
  }
  return caught;
}

template <int kWidth, bug kBug>
void expect_error(const std::vector<std::string>& parts) {
  std::string text;
  EXPECT_EQ((times_caught<kWidth, kBug>(&text)), kSeeds);
  for (const auto& part : parts)
    EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is not in:\n" << text;
}

TEST(emulator, runs_what_is_right) {
  EXPECT_EQ((times_caught<32, bug::NONE>()), 0);
  EXPECT_EQ((times_caught<64, bug::NONE>()), 0);
}

TEST(emulator, catches_missing_barriers) {
  EXPECT_GT((times_caught<32, bug::NO_BARRIER_BEFORE_TOTALS>()), kSeeds / 2);
  EXPECT_GT((times_caught<64, bug::NO_BARRIER_BEFORE_TOTALS>()), kSeeds / 2);
  EXPECT_GT((times_caught<32, bug::NO_BARRIER_BEFORE_REUSE>()), kSeeds / 4);
  EXPECT_GT((times_caught<64, bug::NO_BARRIER_BEFORE_REUSE>()), kSeeds / 4);
}

TEST(emulator, catches_reads_of_what_was_not_written) {
  EXPECT_GT((times_caught<32, bug::UNINITIALISED_SHARED_READ>()), kSeeds / 2);
  EXPECT_GT((times_caught<64, bug::UNINITIALISED_SHARED_READ>()), kSeeds / 2);
}

TEST(emulator, names_who_waits_where) {
  expect_error<32, bug::SHUFFLE_IN_BRANCH>(
      {"block_scan", "block ", "shfl at ", "emu_test.cpp:", "different operations"});
  expect_error<64, bug::SHUFFLE_IN_BRANCH>({"lanes 0x", "wait in shfl", "emu_test.cpp:"});
  expect_error<32, bug::SHUFFLES_AT_TWO_LINES>({"lanes of one warp meet in different operations"});
  expect_error<64, bug::EARLY_RETURN>({"ended"});
  expect_error<32, bug::BARRIER_IN_BRANCH>({"sync_block"});
}

TEST(emulator, catches_lanes_of_32_in_waves_of_64) {
  EXPECT_EQ((times_caught<32, bug::LANES_OF_32>()), 0);
  EXPECT_EQ((times_caught<64, bug::LANES_OF_32>()), kSeeds);
}

TEST(emulator, refuses_blocks_of_part_of_a_wave) {
  using kernel = block_scan<rt<64>, bug::NONE>;
  const std::string failure = run_kernel<kernel, 64>(1, 1, 96, {}, 1);
  EXPECT_NE(failure.find("block_threads=96"), std::string::npos) << failure;
}

#ifdef NSAMETA_EMU_ASAN
TEST(emulator, lets_the_address_sanitizer_see_writes_beyond_the_end) {
  EXPECT_DEATH((run_scan<32, bug::WRITE_BEYOND_THE_END>(1)), "heap-buffer-overflow");
}
#endif

}  // namespace
}  // namespace nsameta::emu
