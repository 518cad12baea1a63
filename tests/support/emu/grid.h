// A grid of GPU threads that runs on one thread of the host, each GPU thread a fiber. What a kernel must not do (a lane
// missing where the others of its warp or block wait, lanes of a warp in different operations) ends the launch with a
// message that says who waits where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace nsameta::emu {

// A line of a kernel.
struct site {
  const char* file;
  int line;

  // The defaults are those of the call in whose arguments this stands.
  static constexpr site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
  bool operator==(const site& other) const { return line == other.line && file == other.file; }
};

enum class operation { NONE, SYNC_BLOCK, SYNC_WARP, SHUFFLE, SHUFFLE_UP, BALLOT, REDUCE };

// Where a thread stands in its grid.
struct position {
  int thread_idx;
  int block_idx;
  int set_idx;
  int block_dim;
  int grid_dim;
  int lane;
  int warp;
};

// Of the thread that runs.
const position& here();

// All lanes of the warp meet.
void meet_warp(operation what, site at);
// All threads of the block meet.
void meet_block(site at);

// All lanes of the warp meet, each with a value; afterwards any of them can be read until the lanes meet again.
const std::uint64_t* exchange(operation what, std::uint64_t value, site at);

struct grid_shape {
  int num_blocks;
  int num_sets;
  int block_threads;
  int warp_width;
  std::size_t smem_bytes;
  std::size_t smem_alignment;
};

// The kernel of one thread.
using thread_body = void (*)(void* smem, const void* params);

// Runs all threads, in an order that follows from `seed`. Returns what went wrong, or "".
std::string run_grid(const char* kernel, const grid_shape& shape, thread_body body, const void* params,
                     std::uint64_t seed);

}  // namespace nsameta::emu
