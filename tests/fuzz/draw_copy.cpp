// Cases of copy_metadata: pairs of buffers of their own, and views into shared ones.
#include <algorithm>

#include "tests/fuzz/fuzz_case.h"

namespace nsameta::fuzz {
namespace {

using reference::cell_layout;
using test::copy_case;
using test::kOneDimension;
using test::random_source;

int64_t draw_extent(random_source& random) {
  const int64_t edge = (int64_t{1} << random.in(0, 9)) + random.in(-1, 1);
  return random.pick<int64_t>({random.in(0, 6), random.in(1, 40), random.in(1, 200), edge});
}

void add_own_buffers(random_source& random, copy_case* c) {
  const auto dtype = random.pick({NSAMETA_INT32, NSAMETA_INT32, NSAMETA_INT64});
  const bool is_vector = random.chance(40);
  const int64_t rows = is_vector ? 1 : std::min<int64_t>(draw_extent(random), 70);
  const int64_t columns = random.chance(3) ? random.in(1, 5000) : draw_extent(random);
  cell_layout to{0, columns + random.pick<int64_t>({0, 0, 1, 4, random.in(0, 9)}), 1};
  const int64_t step = random.pick<int64_t>({1, 1, 2, 3});
  if (random.chance(25)) to = {0, 1, std::max<int64_t>(rows, 1) + random.in(0, 3)};
  if (random.chance(15)) to = {0, columns * step + random.in(0, 3), step};
  if (random.chance(15)) to.row_stride = -to.row_stride;
  if (random.chance(15)) to.column_stride = -to.column_stride;
  cell_layout from{0, random.in(-70, 70), random.in(-3, 3)};
  if (random.chance(60)) from = {0, to.row_stride + random.pick({0, 0, 4, 1, -1}), to.column_stride};
  c->add_pair(is_vector ? kOneDimension : rows, columns, from, to, dtype, random.in(0, 5), random.in(0, 5));
}

// Column blocks of one matrix, filled from overlapping places of another.
void add_columns(random_source& random, copy_case* c) {
  const int64_t rows = random.in(1, 30);
  const int64_t width = random.in(2, 40);
  const int matrix = c->add_buffer(rows * width, random.in(0, 3));
  const int source = c->add_buffer(rows * width, random.in(0, 3));
  for (int64_t column = 0; column < width;) {
    const int64_t columns = random.in(1, width - column);
    const int64_t num_rows = random.in(1, rows);
    const int64_t first_row = random.in(0, rows - num_rows);
    const int64_t from = random.in(0, width - columns);
    const int64_t pitch = random.chance(70) ? width : random.in(-1, 1) == 0 ? 0 : 1;
    c->pairs.push_back(
        {num_rows, columns, {source, {from, pitch, 1}}, {matrix, {first_row * width + column, width, 1}}});
    column += columns + random.in(0, 2);
    if (c->pairs.size() >= NSAMETA_MAX_COPY_PAIRS) return;
  }
}

}  // namespace

copy_case draw_copy(random_source& random) {
  copy_case c;
  const int64_t num_pairs = random.pick<int64_t>({0, 1, 2, random.in(1, 8), random.in(1, 8), random.in(1, 8)});
  for (int64_t i = 0; i < num_pairs; ++i) add_own_buffers(random, &c);
  if (random.chance(3)) {
    while (c.pairs.size() < NSAMETA_MAX_COPY_PAIRS) c.add_vector(random.in(0, 40), random.in(0, 4), random.in(0, 4));
  }
  if (c.pairs.size() < NSAMETA_MAX_COPY_PAIRS && random.chance(25)) add_columns(random, &c);
  return c;
}

}  // namespace nsameta::fuzz
