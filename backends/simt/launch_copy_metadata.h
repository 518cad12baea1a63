// Host side of copy_metadata, the same for every vendor: packs the pairs and cuts them into tiles.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/simt/copy_metadata.h"
#include "backends/simt/explaining_launcher.h"
#include "backends/simt/gpu_state.h"
#include "core/backend.h"

namespace nsameta::simt {

constexpr int kFewPairs = 8;
// On some devices a dimension of the grid ends at 2^32 threads.
constexpr std::int64_t kMaxTiles = 1 << 22;
// Rows shorter than this are nearly all head and tail: a word a thread is better.
constexpr std::int64_t kMinVectorColumns = 2 * kWordsPerVector;

inline std::int64_t words_past_boundary(const void* address) {
  return static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(address) / sizeof(std::int32_t) % kWordsPerVector);
}

// Whether each row begins on both sides as far behind a 16-byte boundary.
inline bool is_aligned_alike(const packed_copy& c) {
  return words_past_boundary(c.source) == words_past_boundary(c.destination) &&
         (c.num_rows == 1 || (c.source_row_stride - c.destination_row_stride) % kWordsPerVector == 0);
}

inline copy_unit pack_copy(const nsameta_copy& from, packed_copy* to) {
  *to = {from.source,
         from.destination,
         from.num_rows,
         from.num_columns,
         from.source_row_stride,
         from.destination_row_stride,
         static_cast<std::int32_t>(from.source_column_stride),
         static_cast<std::int32_t>(from.destination_column_stride)};
  const bool is_straight = from.source_column_stride == 1 && from.destination_column_stride == 1;
  if (from.dtype == NSAMETA_INT64) {
    if (!is_straight) return copy_unit::LONG;
    to->num_columns *= 2;
    to->source_row_stride *= 2;
    to->destination_row_stride *= 2;
  }
  const bool is_wide = is_straight && to->num_columns >= kMinVectorColumns && is_aligned_alike(*to);
  return is_wide ? copy_unit::VECTOR : copy_unit::WORD;
}

inline int slack_of(const packed_copy& c, copy_unit unit) {
  if (unit != copy_unit::VECTOR) return 0;
  const bool is_same_in_all_rows = c.num_rows == 1 || c.destination_row_stride % kWordsPerVector == 0;
  return is_same_in_all_rows ? static_cast<int>(words_past_boundary(c.destination)) : kWordsPerVector - 1;
}

// Fills end_tile for tiles of 1 << tile_bits units; returns the number of tiles.
template <int kPairs>
std::int64_t cut_tiles(int num_copies, int tile_bits, copy_metadata_params<kPairs>* params) {
  std::int64_t tiles = 0;
  for (int i = 0; i < num_copies; ++i) {
    const packed_copy& c = params->copies[i];
    tiles += copy_tiling::make(c, params->unit[i], params->slack[i], tile_bits).num_tiles(c.num_rows);
    params->end_tile[i] = static_cast<std::uint32_t>(std::min<std::int64_t>(tiles, UINT32_MAX));
  }
  params->tile_bits = tile_bits;
  return tiles;
}

template <class Rt, int kPairs, class Launcher>
auto launch_copy_metadata_of(const nsameta_copy_metadata_desc& desc, int num_multiprocessors, Launcher launch) {
  using kernel = copy_metadata<Rt, kPairs>;
  // One unit a thread spreads a small job; four hide the latency of a large one.
  constexpr int kSmallTileBits = 8;
  constexpr int kLargeTileBits = 10;
  constexpr int kBlocksPerMultiprocessor = 2048 / kernel::kBlock;
  static_assert(kernel::kBlock == 1 << kSmallTileBits);
  static_assert(sizeof(copy_metadata_params<kPairs>) <= 4096);
  copy_metadata_params<kPairs> params;
  std::int64_t longest = 0;
  for (int i = 0; i < desc.num_copies; ++i) {
    packed_copy* const c = &params.copies[i];
    params.unit[i] = pack_copy(desc.copies[i], c);
    params.slack[i] = static_cast<std::uint8_t>(slack_of(*c, params.unit[i]));
    const auto tiling = copy_tiling::make(*c, params.unit[i], params.slack[i], kSmallTileBits);
    longest = std::max(longest, tiling.units_per_row * c->num_rows);
  }
  std::fill(params.end_tile + desc.num_copies, params.end_tile + kPairs, UINT32_MAX);
  std::int64_t tiles = cut_tiles(desc.num_copies, kSmallTileBits, &params);
  if (tiles > std::int64_t{num_multiprocessors} * kBlocksPerMultiprocessor) {
    tiles = cut_tiles(desc.num_copies, kLargeTileBits, &params);
  }
  while (tiles > kMaxTiles) tiles = cut_tiles(desc.num_copies, params.tile_bits + 1, &params);
  const auto units = static_cast<int>(std::min<std::int64_t>(longest, kernel::kBlock));
  const int block_threads = (units + Rt::kWarp - 1) / Rt::kWarp * Rt::kWarp;
  return launch.template operator()<kernel>(static_cast<int>(tiles), block_threads, params);
}

// There is at least one copy. launch: a functor template <class Kernel>(num_blocks, block_threads, params) that returns
// the vendor's error code.
template <class Rt, class Launcher>
auto launch_copy_metadata(const nsameta_copy_metadata_desc& desc, int num_multiprocessors, Launcher launch) {
  return desc.num_copies <= kFewPairs
             ? launch_copy_metadata_of<Rt, kFewPairs>(desc, num_multiprocessors, launch)
             : launch_copy_metadata_of<Rt, NSAMETA_MAX_COPY_PAIRS>(desc, num_multiprocessors, launch);
}

template <class Rt>
void explain_launch(Rt, const nsameta_copy_metadata_desc& desc, const gpu_state& state, text_writer* text) {
  if (desc.num_copies == 0) return text->line("kernel: none");
  launch_copy_metadata<Rt>(desc, state.num_multiprocessors, explaining_launcher{text});
}

}  // namespace nsameta::simt
