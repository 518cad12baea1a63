// Small kernels with errors of ordering: the checker must find each in whatever order the threads run, and must find
// nothing in the right ones. This file is compiled as the checked backends are.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/emu/rt.h"

namespace nsameta::emu {
namespace {

constexpr int kThreads = 128;
constexpr int kBlocks = 3;
constexpr std::uint64_t kSeeds = 20;

enum class bug {
  NONE,
  NO_BARRIER,           // before other warps' shared memory is read
  NO_BARRIER_AT_REUSE,  // before what others may still read is written again
  NO_SYNC_WARP,         // between lanes that hand over through shared memory
  SHUFFLE_FOR_SYNC,     // a shuffle between them: it orders no memory
  UNWRITTEN_READ,       // of shared memory that nobody wrote
  ONE_CELL_TWICE,       // two blocks store the same value in the same cell
  NO_HAND_OVER,         // a block reads what another one stores, and no flag is between
  ENDLESS_WAIT          // for a flag that nobody sets
};

template <class Rt, bug kBug>
struct neighbours {
  struct params {
    const std::int32_t* values;
    std::int32_t* sums;       // one a thread
    std::int32_t* of_blocks;  // one a block
  };
  struct smem {
    std::int32_t values[kThreads + 1];
    std::int32_t total;
  };

  // Sum of the values of a thread and the next one of its block.
  static std::int32_t add_next(smem& s, std::int32_t value) {
    const int i = Rt::thread_idx();
    s.values[i] = value;
    if (i == 0 && kBug != bug::UNWRITTEN_READ) s.values[kThreads] = 0;
    if (kBug != bug::NO_BARRIER) Rt::sync_block();
    const std::int32_t sum = value + s.values[i + 1];
    if (kBug != bug::NO_BARRIER_AT_REUSE) Rt::sync_block();
    return sum;
  }

  // The value of the lane that mirrors this one.
  static std::int32_t mirror(smem& s, std::int32_t value) {
    const int first = Rt::warp() * Rt::kWarp;
    s.values[first + Rt::lane()] = value;
    if (kBug == bug::SHUFFLE_FOR_SYNC) (void)Rt::shfl(value, 0);
    if (kBug != bug::NO_SYNC_WARP && kBug != bug::SHUFFLE_FOR_SYNC) Rt::sync_warp();
    const std::int32_t mirrored = s.values[first + Rt::kWarp - 1 - Rt::lane()];
    Rt::sync_warp();
    return mirrored;
  }

  static void run(smem& s, const params& p) {
    const int block = Rt::block_idx();
    const int i = block * Rt::block_dim() + Rt::thread_idx();
    const std::int32_t twice = add_next(s, add_next(s, p.values[i]));
    p.sums[i] = mirror(s, twice);
    Rt::sync_block();
    if (Rt::thread_idx() == 0) p.of_blocks[kBug == bug::ONE_CELL_TWICE ? 0 : block] = twice > 0 ? 1 : 2;
    if (kBug == bug::NO_HAND_OVER && block > 0) p.sums[i] += p.of_blocks[block - 1];
    if (kBug == bug::ENDLESS_WAIT && Rt::thread_idx() == 0) {
      const volatile std::int32_t* const flag = p.values;
      while (*flag != -1) {
      }
    }
  }
};

template <int kWidth, bug kBug>
std::string run_neighbours(std::uint64_t seed) {
  const std::vector<std::int32_t> values(kBlocks * kThreads, 1);
  std::vector<std::int32_t> sums(values.size());
  std::vector<std::int32_t> of_blocks(kBlocks);
  using kernel = neighbours<rt<kWidth>, kBug>;
  return run_kernel<kernel, kWidth>(kBlocks, 1, kThreads, {values.data(), sums.data(), of_blocks.data()}, seed);
}

// Whether every order shows the bug, with a message that holds all `parts`.
template <bug kBug>
void expect_found(const std::vector<std::string>& parts, std::uint64_t num_seeds = kSeeds) {
  for (std::uint64_t seed = 1; seed <= num_seeds; ++seed) {
    for (const std::string& text : {run_neighbours<32, kBug>(seed), run_neighbours<64, kBug>(seed)}) {
      for (const auto& part : parts) {
        EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is not in: " << text;
      }
    }
  }
}

TEST(races, right_kernels_have_none) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    EXPECT_EQ((run_neighbours<32, bug::NONE>(seed)), "");
    EXPECT_EQ((run_neighbours<64, bug::NONE>(seed)), "");
  }
}

TEST(races, missing_barriers) {
  expect_found<bug::NO_BARRIER>({"neighbours", "reads byte ", " of shared memory", " in races_test.cpp:"});
  expect_found<bug::NO_BARRIER_AT_REUSE>({"of shared memory in races_test.cpp:", "nothing orders the two"});
}

TEST(races, missing_warp_barriers) {
  expect_found<bug::NO_SYNC_WARP>({"of shared memory", "after it met others at", "nothing orders the two"});
  expect_found<bug::SHUFFLE_FOR_SYNC>({"of shared memory", "nothing orders the two"});
}

TEST(races, reads_of_what_nobody_wrote) {
  expect_found<bug::UNWRITTEN_READ>({"reads byte 512 of shared memory, which no thread of its block has written"});
}

TEST(races, between_blocks) {
  expect_found<bug::ONE_CELL_TWICE>({"writes global memory at 0x", "writes it in races_test.cpp:"});
  expect_found<bug::NO_HAND_OVER>({"global memory at 0x", "nothing orders the two"});
}

TEST(races, endless_waits) { expect_found<bug::ENDLESS_WAIT>({"never meets others again", "races_test.cpp:"}, 1); }

}  // namespace
}  // namespace nsameta::emu
