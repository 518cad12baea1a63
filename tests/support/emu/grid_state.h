// A grid that runs: its threads, warps and blocks, and who waits where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <new>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/emu/fiber.h"
#include "tests/support/emu/grid.h"

namespace nsameta::emu {

inline constexpr int kMaxLanes = 64;

constexpr std::uint64_t bit(int lane) { return std::uint64_t{1} << lane; }

struct warp_state;
struct block_state;

struct fiber {
  context at;
  position where{};
  warp_state* warp = nullptr;
  operation waits_in = operation::NONE;
  site waits_at{};
  thread_view view;
  bool is_done = false;
};

struct warp_state {
  block_state* block = nullptr;
  fiber* lanes = nullptr;
  std::uint64_t ready = 0;
  std::uint64_t in_operation = 0;
  std::uint64_t at_barrier = 0;
  std::uint64_t ended = 0;
  operation what{};  // of the lanes in an operation
  site at{};
  // Two sets: a lane that is ahead by one operation must not overwrite what others still read.
  unsigned generation = 0;
  std::uint64_t values[2][kMaxLanes] = {};
};

struct aligned_delete {
  std::align_val_t alignment{1};
  void operator()(std::byte* data) const { ::operator delete[](data, alignment); }
};

struct block_state {
  bool is_running = false;
  int num_alive = 0;
  int num_at_barrier = 0;
  int num_at_cluster_barrier = 0;
  int num_ended = 0;
  std::unique_ptr<std::byte[], aligned_delete> smem;
  std::vector<warp_state> warps;
  std::vector<fiber> fibers;
  std::vector<std::vector<peer_store>> from_peers;  // that each thread has not taken
};

class grid {
 public:
  grid(const char* kernel, const grid_shape& shape, thread_body body, const void* params, std::uint64_t seed);
  std::string run();

  void meet_warp(operation what, site at);
  void meet_block(site at);
  void meet_cluster(site at);
  void send_to_peer(int rank, peer_store store);
  bool take_from_peers(peer_store* store);
  const std::uint64_t* exchange(operation what, std::uint64_t value, site at);
  fiber& running() { return *running_; }
  const thread_view* find_running() const { return running_ != nullptr ? &running_->view : nullptr; }
  [[noreturn]] void fail(const char* what);

 private:
  static void enter_fiber();
  void run_thread();
  bool can_start_cluster(std::size_t slot) const;
  void start(block_state& block, std::size_t slot);
  // The blocks of the cluster of one that runs.
  std::span<block_state> cluster_of(const block_state& block);
  // What barriers of a block and of a cluster have in common: before the running thread waits, and its waiting itself.
  void join_barrier();
  void pass_barrier(site at);
  void release(warp_state& warp);
  void poison(block_state& block);
  warp_state* find_ready();
  fiber* pick();
  // Leaves the running fiber for another, or for run() when none is ready.
  void go_on();
  std::string text_of_failure(const char* what) const;
  void describe(std::ostream& out, const block_state& block) const;
  std::uint64_t below(std::uint64_t count) { return random_() % count; }

  const char* kernel_;
  grid_shape shape_;
  thread_body body_;
  const void* params_;
  std::minstd_rand random_;
  std::vector<std::pair<int, int>> waiting_;  // (set, cluster) that have not begun, in the order that they will not
  std::vector<block_state> blocks_;           // in flight, those of a cluster side by side
  context main_;
  fiber* running_ = nullptr;
  warp_state* current_warp_ = nullptr;
  int num_running_ = 0;
  std::string failure_;
  std::uint64_t number_;  // in this process
};

}  // namespace nsameta::emu
