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

enum class operation { NONE, SYNC_CLUSTER, SYNC_BLOCK, SYNC_WARP, SHUFFLE, SHUFFLE_UP, BALLOT, REDUCE };

// Where a thread stands in its grid.
struct position {
  int thread_idx;
  int block_idx;
  int set_idx;
  int block_dim;
  int grid_dim;
  int lane;
  int warp;
  int cluster_size;
};

// Of the thread that runs.
const position& here();

// How far a thread has come: what of it others can know has happened before or after.
struct moment {
  std::uint32_t block = 0;  // of all sets, counted from 1; 0: there was no such moment
  std::uint16_t thread = 0;
  std::uint16_t warp = 0;
  std::uint32_t num_barriers = 0;
  std::uint32_t num_warp_syncs = 0;
};

struct memory_range {
  const void* begin = nullptr;
  std::size_t bytes = 0;

  bool has(std::uintptr_t address) const { return address - reinterpret_cast<std::uintptr_t>(begin) < bytes; }
};

// What a checker of memory accesses has to know of a thread.
struct thread_view {
  moment now;
  site last_met{"", 0};  // where it met others last; line 0: nowhere
  memory_range stack;
  memory_range place;   // its position
  memory_range params;  // of the kernel
  memory_range smem;
  int num_blocks = 0;        // of a set
  std::uint64_t launch = 0;  // number in this process, from 1
};

// The thread that runs; NULL while no kernel does.
const thread_view* find_running();
// Ends the launch; the message begins with the thread that runs. Nothing that its stack holds is destroyed.
[[noreturn]] void fail_running(const char* what);

// All lanes of the warp meet.
void meet_warp(operation what, site at);
// All threads of the block meet.
void meet_block(site at);
// All threads of the cluster meet.
void meet_cluster(site at);

// A store to the same place of another block's shared memory, which the thread of that block with the same number does
// when it takes it.
struct peer_store {
  std::int32_t* cell;
  std::int32_t value;
};
void send_to_peer(int rank, peer_store store);
// False: there are no more.
bool take_from_peers(peer_store* store);

// All lanes of the warp meet, each with a value; afterwards any of them can be read until the lanes meet again.
const std::uint64_t* exchange(operation what, std::uint64_t value, site at);

struct grid_shape {
  int num_blocks;
  int cluster_size;  // divides num_blocks
  int num_sets;
  int block_threads;
  int warp_width;
  std::size_t smem_bytes;
  std::size_t smem_alignment;
  std::size_t params_bytes;
};

// The kernel of one thread.
using thread_body = void (*)(void* smem, const void* params);

// Runs all threads, in an order that follows from `seed`. Returns what went wrong, or "".
std::string run_grid(const char* kernel, const grid_shape& shape, thread_body body, const void* params,
                     std::uint64_t seed);

}  // namespace nsameta::emu
