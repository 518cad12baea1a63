// copy_metadata. A pair is cut into tiles of at most 1 << tile_bits units, whole rows or a part of one; a block copies
// one tile and finds its pair by the running sum of tiles. A unit is a cell of 4 or 8 bytes, or, where both sides are
// straight and aligned alike, the cells of a row in 16 aligned bytes of the destination.
#pragma once

#include <cstdint>

#include "core/formula.h"

namespace nsameta::simt {

enum class copy_unit : std::uint8_t { WORD, LONG, VECTOR };

// Of one pair; strides and columns count words, or 8-byte cells of unit LONG.
struct packed_copy {
  const void* source;
  void* destination;
  std::int64_t num_rows;
  std::int64_t num_columns;
  std::int64_t source_row_stride;
  std::int64_t destination_row_stride;
  std::int32_t source_column_stride;
  std::int32_t destination_column_stride;
};

// Kernel parameters hold 4096 bytes, and what a launch costs grows with them: so there is one size for few pairs and
// one for all.
template <int kPairs>
struct copy_metadata_params {
  packed_copy copies[kPairs];
  std::uint32_t end_tile[kPairs];  // tiles up to the end of the pair; beyond the last pair UINT32_MAX
  copy_unit unit[kPairs];
  std::uint8_t slack[kPairs];  // VECTOR: words by which a row's first unit may begin before the row
  std::int32_t tile_bits;
};

constexpr int kWordsPerVector = 4;

// How a pair is cut.
struct copy_tiling {
  std::int64_t units_per_row;
  std::uint32_t tiles_per_row;  // 1: a tile is whole rows
  std::uint32_t rows_per_tile;

  NSAMETA_HD static constexpr copy_tiling make(const packed_copy& c, copy_unit unit, int slack, int tile_bits) {
    const std::int64_t units =
        unit == copy_unit::VECTOR ? (c.num_columns + slack + kWordsPerVector - 1) / kWordsPerVector : c.num_columns;
    const std::int64_t tile = std::int64_t{1} << tile_bits;
    const auto tiles_per_row = static_cast<std::uint32_t>((units + tile - 1) >> tile_bits);
    if (tiles_per_row > 1 || c.num_rows == 1) return {units, tiles_per_row, 1};
    return {units, 1, static_cast<std::uint32_t>(tile) / static_cast<std::uint32_t>(units)};
  }

  NSAMETA_HD constexpr std::int64_t num_tiles(std::int64_t num_rows) const {
    return tiles_per_row > 1 ? num_rows * tiles_per_row : (num_rows + rows_per_tile - 1) / rows_per_tile;
  }
};

template <class Rt, int kPairs>
struct copy_metadata {
  static constexpr int kBlock = 256;
  static constexpr int kUnitsAtOnce = 4;  // loads under way for each thread
  using params = copy_metadata_params<kPairs>;
  struct smem {};

  // The units of a block: from `first_unit` of row `first_row` on, row after row.
  struct tile {
    std::int64_t first_row;
    std::int64_t first_unit;
    std::uint32_t num_units;
    formula::divider units_per_row;  // of a tile of more rows than one
    bool has_rows;
  };

  struct place {
    std::int64_t row;
    std::int64_t unit;
  };

  static NSAMETA_DEVICE place locate(const tile& t, std::uint32_t i) {
    if (!t.has_rows) return {t.first_row, t.first_unit + i};
    const std::uint32_t row = t.units_per_row.divide(i);
    return {t.first_row + row, static_cast<std::int64_t>(i - row * t.units_per_row.divisor)};
  }

  // Number of the pair that a tile belongs to.
  static NSAMETA_DEVICE int find_pair(const params& p, std::uint32_t tile_idx) {
    int pair = 0;
    NSAMETA_UNROLL
    for (int step = kPairs / 2; step > 0; step /= 2) {
      if (p.end_tile[pair + step - 1] <= tile_idx) pair += step;
    }
    return pair;
  }

  static NSAMETA_DEVICE tile make_tile(const packed_copy& c, const copy_tiling& tiling, std::uint32_t tile_idx,
                                       int tile_bits) {
    if (tiling.rows_per_tile > 1) {
      const std::int64_t first_row = std::int64_t{tile_idx} * tiling.rows_per_tile;
      const std::int64_t rows_left = c.num_rows - first_row;
      const std::uint32_t rows =
          rows_left < tiling.rows_per_tile ? static_cast<std::uint32_t>(rows_left) : tiling.rows_per_tile;
      const auto units_per_row = static_cast<std::uint32_t>(tiling.units_per_row);
      return {first_row, 0, rows * units_per_row, formula::divider::make(units_per_row), true};
    }
    const bool is_split = tiling.tiles_per_row > 1;
    const std::uint32_t row = is_split ? tile_idx / tiling.tiles_per_row : tile_idx;
    const std::uint32_t part = is_split ? tile_idx - row * tiling.tiles_per_row : 0;
    const std::int64_t first_unit = std::int64_t{part} << tile_bits;
    const std::int64_t units_left = tiling.units_per_row - first_unit;
    const std::int64_t most = std::int64_t{1} << tile_bits;
    return {row, first_unit, static_cast<std::uint32_t>(units_left < most ? units_left : most), {}, false};
  }

  template <class Element>
  static NSAMETA_DEVICE void copy_cells(const packed_copy& c, const tile& t) {
    const auto* source = static_cast<const Element*>(c.source);
    auto* destination = static_cast<Element*>(c.destination);
    const auto step = static_cast<std::uint32_t>(Rt::block_dim());
    for (auto first = static_cast<std::uint32_t>(Rt::thread_idx()); first < t.num_units; first += kUnitsAtOnce * step) {
      Element values[kUnitsAtOnce];
      NSAMETA_UNROLL
      for (std::uint32_t k = 0; k < kUnitsAtOnce; ++k) {
        if (first + k * step >= t.num_units) break;
        const place from = locate(t, first + k * step);
        values[k] = source[from.row * c.source_row_stride + from.unit * c.source_column_stride];
      }
      NSAMETA_UNROLL
      for (std::uint32_t k = 0; k < kUnitsAtOnce; ++k) {
        if (first + k * step >= t.num_units) break;
        const place to = locate(t, first + k * step);
        destination[to.row * c.destination_row_stride + to.unit * c.destination_column_stride] = values[k];
      }
    }
  }

  // Words [begin, end) of four at an aligned address; the others are not the row's.
  struct vector_place {
    const std::int32_t* source;
    std::int32_t* destination;
    int begin;
    int end;
  };

  static NSAMETA_DEVICE vector_place locate_vector(const packed_copy& c, const place& at) {
    const auto* source = static_cast<const std::int32_t*>(c.source) + at.row * c.source_row_stride;
    auto* destination = static_cast<std::int32_t*>(c.destination) + at.row * c.destination_row_stride;
    const auto before =
        static_cast<int>(reinterpret_cast<std::uintptr_t>(destination) / sizeof(std::int32_t) % kWordsPerVector);
    const std::int64_t column = at.unit * kWordsPerVector - before;
    const std::int64_t left = c.num_columns - column;
    return {source + column, destination + column, at.unit == 0 ? before : 0,
            static_cast<int>(left < kWordsPerVector ? left : kWordsPerVector)};
  }

  static NSAMETA_DEVICE void copy_vectors(const packed_copy& c, const tile& t) {
    const auto step = static_cast<std::uint32_t>(Rt::block_dim());
    for (auto first = static_cast<std::uint32_t>(Rt::thread_idx()); first < t.num_units; first += kUnitsAtOnce * step) {
      std::int32_t values[kUnitsAtOnce][kWordsPerVector];
      vector_place places[kUnitsAtOnce];
      NSAMETA_UNROLL
      for (std::uint32_t k = 0; k < kUnitsAtOnce; ++k) {
        if (first + k * step >= t.num_units) break;
        places[k] = locate_vector(c, locate(t, first + k * step));
        load(places[k], values[k]);
      }
      NSAMETA_UNROLL
      for (std::uint32_t k = 0; k < kUnitsAtOnce; ++k) {
        if (first + k * step >= t.num_units) break;
        store(places[k], values[k]);
      }
    }
  }

  static NSAMETA_DEVICE bool is_full(const vector_place& at) { return at.begin == 0 && at.end == kWordsPerVector; }

  static NSAMETA_DEVICE void load(const vector_place& at, std::int32_t* values) {
    if (is_full(at)) {
      Rt::load128(at.source, values);
      return;
    }
    NSAMETA_UNROLL
    for (int j = 0; j < kWordsPerVector; ++j) {
      if (j >= at.begin && j < at.end) values[j] = at.source[j];
    }
  }

  static NSAMETA_DEVICE void store(const vector_place& at, const std::int32_t* values) {
    if (is_full(at)) {
      Rt::store128(at.destination, values[0], values[1], values[2], values[3]);
      return;
    }
    NSAMETA_UNROLL
    for (int j = 0; j < kWordsPerVector; ++j) {
      if (j >= at.begin && j < at.end) at.destination[j] = values[j];
    }
  }

  static NSAMETA_DEVICE void run(smem&, const params& p) {
    const auto block = static_cast<std::uint32_t>(Rt::block_idx());
    const int pair = find_pair(p, block);
    const std::uint32_t tile_idx = pair == 0 ? block : block - p.end_tile[pair - 1];
    const packed_copy& c = p.copies[pair];
    const copy_unit unit = p.unit[pair];
    const copy_tiling tiling = copy_tiling::make(c, unit, p.slack[pair], p.tile_bits);
    const tile t = make_tile(c, tiling, tile_idx, p.tile_bits);
    if (unit == copy_unit::VECTOR) {
      copy_vectors(c, t);
    } else if (unit == copy_unit::WORD) {
      copy_cells<std::int32_t>(c, t);
    } else {
      copy_cells<std::int64_t>(c, t);
    }
  }
};

}  // namespace nsameta::simt
