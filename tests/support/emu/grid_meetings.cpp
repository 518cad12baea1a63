// Where threads of a grid meet: in operations of their warp, at barriers of their block and of its cluster.
#include "tests/support/emu/grid_state.h"

namespace nsameta::emu {

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

void grid::join_barrier() {
  warp_state& warp = *running_->warp;
  if (warp.in_operation != 0) fail("lanes of one warp wait at a barrier and in an operation");
  warp.at_barrier |= bit(running_->where.lane);
}

void grid::pass_barrier(site at) {
  fiber& f = *running_;
  go_on();
  f.waits_in = operation::NONE;
  f.view.last_met = at;
  ++f.view.now.num_barriers;
}

void grid::meet_block(site at) {
  fiber& f = *running_;
  block_state& block = *f.warp->block;
  f.waits_in = operation::SYNC_BLOCK;
  f.waits_at = at;
  if (block.num_ended != 0) fail("threads have ended before a barrier of their block");
  join_barrier();
  if (++block.num_at_barrier == shape_.block_threads) {
    block.num_at_barrier = 0;
    for (auto& each : block.warps) release(each);
  }
  pass_barrier(at);
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
  f.waits_in = operation::SYNC_CLUSTER;
  f.waits_at = at;
  const auto cluster = cluster_of(*f.warp->block);
  int num_waiting = 1;
  for (const block_state& block : cluster) {
    if (block.num_ended != 0) fail("threads have ended before a barrier of their cluster");
    if (block.num_at_barrier != 0) fail("threads of one block wait at its barrier and at that of its cluster");
    num_waiting += block.num_at_cluster_barrier;
  }
  join_barrier();
  ++f.warp->block->num_at_cluster_barrier;
  if (num_waiting == shape_.block_threads * shape_.cluster_size) {
    for (block_state& block : cluster) {
      block.num_at_cluster_barrier = 0;
      for (auto& each : block.warps) release(each);
    }
  }
  pass_barrier(at);
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

}  // namespace nsameta::emu
