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

enum class cluster_bug {
  NONE,
  NO_SYNC,          // peers' stores are read before they have arrived
  NO_SUCH_PEER,     // a store to a block that the cluster does not have
  NOT_SHARED,       // a store to a peer of what is not shared memory
  EARLY_RETURN,     // a block leaves while its peer waits
  BARRIER_OF_BLOCK  // a warp waits for its block while another one waits for the cluster
};

// Each block gives the sum of its threads' numbers to the other one.
template <cluster_bug kBug>
struct exchange_in_cluster {
  struct params {
    std::int32_t* sums;  // one a block
  };
  struct smem {
    std::int32_t of_block[2];
  };
  using trait = rt<32>;

  static void run(smem& s, const params& p) {
    const int rank = trait::cluster_rank();
    if (kBug == cluster_bug::EARLY_RETURN && rank == 1) return;
    if (kBug == cluster_bug::BARRIER_OF_BLOCK && trait::warp() == 0) trait::sync_block();
    trait::begin_cluster();
    std::int32_t outside = 0;
    if (trait::thread_idx() < trait::cluster_size()) {
      std::int32_t* const cell = kBug == cluster_bug::NOT_SHARED ? &outside : &s.of_block[rank];
      trait::store_to_peer(cell, trait::thread_idx() + (kBug == cluster_bug::NO_SUCH_PEER ? 1 : 0), 10 + rank);
    }
    if (kBug != cluster_bug::NO_SYNC) trait::sync_cluster();
    if (trait::thread_idx() == 0) p.sums[trait::block_idx()] = s.of_block[1 - rank];
  }
};

template <cluster_bug kBug>
outcome run_cluster(std::uint64_t seed) {
  constexpr int kPairs = 3;
  std::vector<std::int32_t> sums(2 * kPairs);
  const std::string failure =
      run_kernel<exchange_in_cluster<kBug>, 32>(2 * kPairs, 1, kThreads, {sums.data()}, seed, 2);
  return {failure, sums == std::vector<std::int32_t>{11, 10, 11, 10, 11, 10}};
}

template <cluster_bug kBug>
void expect_cluster_error(const std::string& part) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const outcome o = run_cluster<kBug>(seed);
    EXPECT_NE(o.failure.find(part), std::string::npos) << "'" << part << "' is not in:\n" << o.failure;
  }
}

TEST(emulator, runs_clusters) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const outcome o = run_cluster<cluster_bug::NONE>(seed);
    EXPECT_EQ(o.failure, "");
    EXPECT_TRUE(o.is_right);
  }
}

TEST(emulator, catches_what_clusters_must_not_do) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) EXPECT_FALSE(run_cluster<cluster_bug::NO_SYNC>(seed).is_right);
  expect_cluster_error<cluster_bug::NO_SUCH_PEER>("stores to a block that its cluster does not have");
  expect_cluster_error<cluster_bug::NOT_SHARED>("stores to a peer what is not in shared memory");
  expect_cluster_error<cluster_bug::EARLY_RETURN>("cluster");
  expect_cluster_error<cluster_bug::BARRIER_OF_BLOCK>("cluster");
  const std::string failure = run_kernel<exchange_in_cluster<cluster_bug::NONE>, 32>(3, 1, kThreads, {}, 1, 2);
  EXPECT_NE(failure.find("num_blocks=3 is no multiple of the cluster size 2"), std::string::npos) << failure;
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
