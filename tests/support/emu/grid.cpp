#include "tests/support/emu/grid_state.h"

#include <algorithm>
#include <cstring>
#include <sstream>

namespace nsameta::emu {
namespace {

constexpr int kMaxThreadsInFlight = 4096;

grid* g_grid = nullptr;
std::uint64_t g_num_grids = 0;

stack_pool& stacks() {
  static stack_pool pool;
  return pool;
}

}  // namespace

grid::grid(const char* kernel, const grid_shape& shape, thread_body body, const void* params, std::uint64_t seed)
    : kernel_(kernel),
      shape_(shape),
      body_(body),
      params_(params),
      random_(static_cast<unsigned>(seed % 2147483646 + 1)),
      number_(++g_num_grids) {
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
