// Who waits where, in words.
#include <sstream>

#include "tests/support/emu/grid_state.h"

namespace nsameta::emu {
namespace {

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

}  // namespace

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

}  // namespace nsameta::emu
