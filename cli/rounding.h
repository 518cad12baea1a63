// Sizes of what the program allocates.
#pragma once

#include <cstdint>

namespace nsameta::cli {

inline constexpr int64_t kAlignCells = 64;  // 256 bytes

inline int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

// A multiple of kAlignCells that is more than x.
inline int64_t pad_cells(int64_t x) { return round_up(x + 1, kAlignCells); }

}  // namespace nsameta::cli
