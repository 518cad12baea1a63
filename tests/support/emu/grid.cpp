#include "tests/support/emu/grid.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <span>
#include <sstream>
#include <vector>

#include "tests/support/emu/fiber.h"

namespace nsameta::emu {
namespace {

constexpr int kMaxLanes = 64;
constexpr int kMaxThreadsInFlight = 4096;

const char* name_of(operation what) {
  switch (what) {
    case operation::NONE: return "nothing";
    case operation::SYNC_CLUSTER: return "a barrier of the cluster";
    case operation::SYNC_BLOCK: return "sync_block";
    case operation::SYNC_WARP: return "sync_warp";
    case operation::SHUFFLE: return "shfl";
    case operation::SHUFFLE_UP: return "shfl_up";
    case operation::BALLOT: return "ballot";
    case operation::REDUCE: return "reduce_add";
  }
  return "?";
}

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
  std::uint64_t number_ = ++num_grids;
  static inline std::uint64_t num_grids = 0;
};

grid* g_grid = nullptr;

stack_pool& stacks() {
  static stack_pool pool;
  return pool;
}

grid::grid(const char* kernel, const grid_shape& shape, thread_body body, const void* params, std::uint64_t seed)
    : kernel_(kernel),
      shape_(shape),
      body_(body),
      params_(params),
      random_(static_cast<unsigned>(seed % 2147483646 + 1)) {
  const int num_clusters = shape.num_blocks / shape.cluster_size;
  for (int set = 0; set < shape.num_sets; ++set) {
    for (int cluster = 0; cluster < num_clusters; ++cluster) waiting_.emplace_back(set, cluster);
  }
  std::shuffle(waiting_.begin(), waiting_.end(), random_);
  const auto fitting =
      static_cast<std::size_t>(std::max(kMaxThreadsInFlight / (shape.block_threads * shape.cluster_size), 1));
  blocks_ = std::vector<block_state>(std::min(waiting_.size(), fitting) * static_cast<std::size_t>(shape.cluster_size));
}

// Garbage of different kinds, so that what is read before it is written shows.
void grid::poison(block_state& block) {
  const auto kind = below(5);
  const std::int32_t values[] = {-1, INT32_MIN, INT32_MAX, static_cast<std::int32_t>(below(64)), 0};
  for (std::size_t i = 0; i < shape_.smem_bytes; i += sizeof(std::int32_t)) {
    const auto value = kind < 4 ? values[kind] : static_cast<std::int32_t>(random_());
    std::memcpy(block.smem.get() + i, &value, std::min(sizeof(value), shape_.smem_bytes - i));
  }
}

bool grid::can_start_cluster(std::size_t slot) const {
  const auto size = static_cast<std::size_t>(shape_.cluster_size);
  return std::ranges::none_of(std::span(blocks_).subspan(slot, size), &block_state::is_running);
}

void grid::start(block_state& block, std::size_t slot) {
  const auto [set, cluster] = waiting_.back();
  const int rank = static_cast<int>(slot) % shape_.cluster_size;
  const int idx = cluster * shape_.cluster_size + rank;
  if (rank == shape_.cluster_size - 1) waiting_.pop_back();
  const auto num_threads = static_cast<std::size_t>(shape_.block_threads);
  const auto width = static_cast<std::size_t>(shape_.warp_width);
  if (block.fibers.empty()) {
    const std::align_val_t alignment{shape_.smem_alignment};
    block.smem = {new (alignment) std::byte[shape_.smem_bytes], aligned_delete{alignment}};
    block.fibers = std::vector<fiber>(num_threads);
    block.warps = std::vector<warp_state>(num_threads / width);
  }
  poison(block);
  block.is_running = true;
  block.num_alive = shape_.block_threads;
  block.num_at_barrier = block.num_at_cluster_barrier = block.num_ended = 0;
  block.from_peers.assign(num_threads, {});
  for (std::size_t w = 0; w < block.warps.size(); ++w) {
    auto& warp = block.warps[w];
    warp = {};
    warp.block = &block;
    warp.lanes = &block.fibers[w * width];
    warp.ready = ~std::uint64_t{0} >> (kMaxLanes - shape_.warp_width);
  }
  for (std::size_t i = 0; i < num_threads; ++i) {
    auto& f = block.fibers[i];
    const int thread = static_cast<int>(i);
    f.where = {thread,
               idx,
               set,
               shape_.block_threads,
               shape_.num_blocks,
               thread % shape_.warp_width,
               thread / shape_.warp_width,
               shape_.cluster_size};
    f.warp = &block.warps[i / width];
    f.waits_in = operation::NONE;
    f.is_done = false;
    void* const stack = stacks().at(slot * num_threads + i);
    f.at.prepare(stack, stack_pool::kBytes, enter_fiber);
    f.view = {.now = {.block = static_cast<std::uint32_t>(set * shape_.num_blocks + idx + 1),
                      .thread = static_cast<std::uint16_t>(i),
                      .warp = static_cast<std::uint16_t>(i / width)},
              .stack = {stack, stack_pool::kBytes},
              .place = {&f.where, sizeof(f.where)},
              .params = {params_, shape_.params_bytes},
              .smem = {block.smem.get(), shape_.smem_bytes},
              .num_blocks = shape_.num_blocks,
              .launch = number_};
  }
  ++num_running_;
}

void grid::enter_fiber() {
  context::arrive();
  g_grid->run_thread();
}

void grid::run_thread() {
  body_(running_->warp->block->smem.get(), params_);
  fiber& f = *running_;
  warp_state& warp = *f.warp;
  block_state& block = *warp.block;
  f.is_done = true;
  warp.ended |= bit(f.where.lane);
  ++block.num_ended;
  if (warp.in_operation != 0) fail("a lane ended while others of its warp wait for it");
  if (block.num_at_barrier != 0) fail("a thread ended while others of its block wait for it");
  for (const block_state& peer : cluster_of(block)) {
    if (peer.num_at_cluster_barrier != 0) fail("a thread ended while others of its cluster wait for it");
  }
  if (--block.num_alive == 0) {
    block.is_running = false;
    --num_running_;
    main_.enter(f.at, true);
  }
  go_on();
}

warp_state* grid::find_ready() {
  const std::size_t num_warps = static_cast<std::size_t>(shape_.block_threads / shape_.warp_width);
  const std::size_t count = blocks_.size() * num_warps;
  const std::size_t first = below(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = first + i < count ? first + i : first + i - count;
    block_state& block = blocks_[at / num_warps];
    if (block.is_running && block.warps[at % num_warps].ready != 0) return &block.warps[at % num_warps];
  }
  return nullptr;
}

// A warp runs until it waits, and is far ahead of others then: that shows barriers that are missing.
fiber* grid::pick() {
  if (current_warp_ == nullptr || current_warp_->ready == 0) current_warp_ = find_ready();
  if (current_warp_ == nullptr) return nullptr;
  const auto from = static_cast<int>(below(static_cast<std::uint64_t>(shape_.warp_width)));
  const std::uint64_t above = current_warp_->ready >> from << from;
  const int lane = __builtin_ctzll(above != 0 ? above : current_warp_->ready);
  current_warp_->ready &= ~bit(lane);
  return &current_warp_->lanes[lane];
}

void grid::go_on() {
  fiber& from = *running_;
  fiber* to = pick();
  if (to == &from) return;
  if (to == nullptr) return main_.enter(from.at, from.is_done);
  running_ = to;
  to->at.enter(from.at, from.is_done);
}

void grid::meet_warp(operation what, site at) {
  fiber& f = *running_;
  warp_state& warp = *f.warp;
  f.waits_in = what;
  f.waits_at = at;
  if (warp.ended != 0) fail("lanes have ended before an operation of their warp");
  if (warp.at_barrier != 0) fail("lanes of one warp wait at a barrier and in an operation");
  if (warp.in_operation == 0) {
    warp.what = what;
    warp.at = at;
  } else if (warp.what != what || !(warp.at == at)) {
    fail("lanes of one warp meet in different operations");
  }
  warp.in_operation |= bit(f.where.lane);
  if (__builtin_popcountll(warp.in_operation) == shape_.warp_width) {
    ++warp.generation;
    warp.ready |= warp.in_operation;
    warp.in_operation = 0;
  }
  go_on();
  f.waits_in = operation::NONE;
  f.view.last_met = at;
  if (what == operation::SYNC_WARP) ++f.view.now.num_warp_syncs;
}

const std::uint64_t* grid::exchange(operation what, std::uint64_t value, site at) {
  warp_state& warp = *running_->warp;
  std::uint64_t* const values = warp.values[warp.generation & 1U];
  values[running_->where.lane] = value;
  meet_warp(what, at);
  return values;
}

void grid::meet_block(site at) {
  fiber& f = *running_;
  warp_state& warp = *f.warp;
  block_state& block = *warp.block;
  f.waits_in = operation::SYNC_BLOCK;
  f.waits_at = at;
  if (block.num_ended != 0) fail("threads have ended before a barrier of their block");
  if (warp.in_operation != 0) fail("lanes of one warp wait at a barrier and in an operation");
  warp.at_barrier |= bit(f.where.lane);
  if (++block.num_at_barrier == shape_.block_threads) {
    block.num_at_barrier = 0;
    for (auto& each : block.warps) release(each);
  }
  go_on();
  f.waits_in = operation::NONE;
  f.view.last_met = at;
  ++f.view.now.num_barriers;
}

void grid::release(warp_state& warp) {
  warp.ready |= warp.at_barrier;
  warp.at_barrier = 0;
}

std::span<block_state> grid::cluster_of(const block_state& block) {
  const auto size = static_cast<std::size_t>(shape_.cluster_size);
  const auto slot = static_cast<std::size_t>(&block - blocks_.data());
  return std::span(blocks_).subspan(slot / size * size, size);
}

void grid::meet_cluster(site at) {
  fiber& f = *running_;
  warp_state& warp = *f.warp;
  f.waits_in = operation::SYNC_CLUSTER;
  f.waits_at = at;
  const auto cluster = cluster_of(*warp.block);
  int num_waiting = 1;
  for (const block_state& block : cluster) {
    if (block.num_ended != 0) fail("threads have ended before a barrier of their cluster");
    if (block.num_at_barrier != 0) fail("threads of one block wait at its barrier and at that of its cluster");
    num_waiting += block.num_at_cluster_barrier;
  }
  if (warp.in_operation != 0) fail("lanes of one warp wait at a barrier and in an operation");
  warp.at_barrier |= bit(f.where.lane);
  ++warp.block->num_at_cluster_barrier;
  if (num_waiting == shape_.block_threads * shape_.cluster_size) {
    for (block_state& block : cluster) {
      block.num_at_cluster_barrier = 0;
      for (auto& each : block.warps) release(each);
    }
  }
  go_on();
  f.waits_in = operation::NONE;
  f.view.last_met = at;
  ++f.view.now.num_barriers;
}

void grid::send_to_peer(int rank, peer_store store) {
  const fiber& f = *running_;
  const auto cluster = cluster_of(*f.warp->block);
  if (rank < 0 || rank >= shape_.cluster_size) fail("stores to a block that its cluster does not have");
  const auto offset = reinterpret_cast<std::byte*>(store.cell) - f.warp->block->smem.get();
  if (offset < 0 || static_cast<std::size_t>(offset) + sizeof(std::int32_t) > shape_.smem_bytes) {
    fail("stores to a peer what is not in shared memory");
  }
  block_state& peer = cluster[static_cast<std::size_t>(rank)];
  store.cell = reinterpret_cast<std::int32_t*>(peer.smem.get() + offset);
  peer.from_peers[static_cast<std::size_t>(f.where.thread_idx)].push_back(store);
}

bool grid::take_from_peers(peer_store* store) {
  const fiber& f = *running_;
  auto& own = f.warp->block->from_peers[static_cast<std::size_t>(f.where.thread_idx)];
  if (own.empty()) return false;
  *store = own.back();
  own.pop_back();
  return true;
}

void grid::describe(std::ostream& out, const block_state& block) const {
  constexpr int kMaxLines = 12;
  int num_lines = 0;
  for (std::size_t w = 0; w < block.warps.size() && num_lines < kMaxLines; ++w) {
    const warp_state& warp = block.warps[w];
    std::uint64_t left = warp.in_operation | warp.at_barrier;
    while (left != 0 && num_lines < kMaxLines) {
      const fiber& first = warp.lanes[__builtin_ctzll(left)];
      std::uint64_t alike = 0;
      for (int lane = 0; lane < shape_.warp_width; ++lane) {
        const fiber& f = warp.lanes[lane];
        const bool is_like = f.waits_in == first.waits_in && f.waits_at == first.waits_at;
        if ((left & bit(lane)) != 0 && is_like) alike |= bit(lane);
      }
      out << "\n  warp " << w << ": lanes " << std::hex << "0x" << alike << std::dec << " wait in "
          << name_of(first.waits_in) << " at " << first.waits_at.file << ":" << first.waits_at.line;
      left &= ~alike;
      ++num_lines;
    }
    if (warp.ended != 0) {
      out << "\n  warp " << w << ": lanes 0x" << std::hex << warp.ended << std::dec << " have ended";
      ++num_lines;
    }
  }
}

std::string grid::text_of_failure(const char* what) const {
  const fiber& f = *running_;
  std::ostringstream out;
  out << kernel_ << ", set " << f.where.set_idx << ", block " << f.where.block_idx << ", thread " << f.where.thread_idx;
  if (f.waits_in != operation::NONE) {
    out << ", in " << name_of(f.waits_in) << " at " << f.waits_at.file << ":" << f.waits_at.line;
  }
  out << ": " << what;
  describe(out, *f.warp->block);
  return out.str();
}

// Nothing that the fiber holds is ever destroyed, so it must hold nothing.
void grid::fail(const char* what) {
  failure_ = text_of_failure(what);
  main_.enter(running_->at, true);
  __builtin_unreachable();
}

std::string grid::run() {
  while (failure_.empty()) {
    const auto size = static_cast<std::size_t>(shape_.cluster_size);
    for (std::size_t first = 0; first < blocks_.size() && !waiting_.empty(); first += size) {
      if (!can_start_cluster(first)) continue;
      for (std::size_t i = first; i < first + size; ++i) start(blocks_[i], i);
    }
    if (num_running_ == 0) return "";
    running_ = pick();
    if (running_ == nullptr) {
      std::ostringstream out;
      out << kernel_ << ": nothing can go on";
      for (const auto& block : blocks_) {
        if (!block.is_running) continue;
        out << "\n set " << block.fibers[0].where.set_idx << ", block " << block.fibers[0].where.block_idx;
        describe(out, block);
      }
      return out.str();
    }
    running_->at.enter(main_, false);
  }
  return failure_;
}

}  // namespace

const position& here() { return g_grid->running().where; }
void meet_warp(operation what, site at) { g_grid->meet_warp(what, at); }
void meet_block(site at) { g_grid->meet_block(at); }
void meet_cluster(site at) { g_grid->meet_cluster(at); }
void send_to_peer(int rank, peer_store store) { g_grid->send_to_peer(rank, store); }
bool take_from_peers(peer_store* store) { return g_grid->take_from_peers(store); }
const std::uint64_t* exchange(operation what, std::uint64_t value, site at) {
  return g_grid->exchange(what, value, at);
}

const thread_view* find_running() { return g_grid != nullptr ? g_grid->find_running() : nullptr; }
void fail_running(const char* what) { g_grid->fail(what); }

std::string run_grid(const char* kernel, const grid_shape& shape, thread_body body, const void* params,
                     std::uint64_t seed) {
  if (shape.block_threads <= 0 || shape.block_threads % shape.warp_width != 0) {
    return std::string(kernel) + ": block_threads=" + std::to_string(shape.block_threads) +
           " is no multiple of the warp width " + std::to_string(shape.warp_width);
  }
  if (shape.num_blocks % shape.cluster_size != 0) {
    return std::string(kernel) + ": num_blocks=" + std::to_string(shape.num_blocks) +
           " is no multiple of the cluster size " + std::to_string(shape.cluster_size);
  }
  grid g(kernel, shape, body, params, seed);
  g_grid = &g;
  std::string failure = g.run();
  g_grid = nullptr;
  return failure;
}

}  // namespace nsameta::emu
