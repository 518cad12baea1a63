// copy_metadata: every layout of the two sides, any number of pairs.
#include "tests/support/copy_case.h"
#include "tests/support/random.h"

namespace nsameta::test {
namespace {

using reference::cell_layout;

class copy_metadata_layouts : public op_test {
 protected:
  void check_case(const copy_case& c) {
    bound_copy call(context(), stream(), c);
    ASSERT_FALSE(HasFatalFailure());
    check(call);
  }
};
NSAMETA_TEST_ALL_EXECUTIONS(copy_metadata_layouts);

TEST_P(copy_metadata_layouts, two_small_vectors) {
  copy_case c;
  c.add_vector(33);
  c.add_vector(33);
  check_case(c);
}

TEST_P(copy_metadata_layouts, no_pairs) { check_case({}); }

TEST_P(copy_metadata_layouts, every_small_size_at_every_alignment) {
  for (int64_t from_offset = 0; from_offset < 4; ++from_offset) {
    for (int64_t to_offset = 0; to_offset < 4; ++to_offset) {
      copy_case c;
      for (int64_t count = 1; count <= 40; ++count) c.add_vector(count, from_offset, to_offset);
      ASSERT_NO_FATAL_FAILURE(check_case(c)) << "offsets " << from_offset << ", " << to_offset;
    }
  }
}

TEST_P(copy_metadata_layouts, sizes_around_blocks_and_tiles) {
  for (const int64_t offset : {0, 3}) {
    copy_case words;
    copy_case vectors;
    for (const int64_t around : {256, 512, 1024, 2048, 4096, 8192}) {
      for (int64_t count = around - 1; count <= around + 1; ++count) {
        words.add_vector(count, offset, offset + 1);
        vectors.add_vector(count, offset, offset);
      }
    }
    ASSERT_NO_FATAL_FAILURE(check_case(words));
    ASSERT_NO_FATAL_FAILURE(check_case(vectors));
  }
}

TEST_P(copy_metadata_layouts, int64) {
  copy_case c;
  for (const int64_t count : {1, 2, 3, 17, 64, 65, 1000}) {
    for (const int64_t offset : {0, 1}) c.add_vector(count, offset, 1, NSAMETA_INT64);
  }
  c.add_pair(5, 7, {0, 9, 1}, {0, 8, 1}, NSAMETA_INT64);
  c.add_pair(5, 7, {0, 1, 6}, {0, 8, 1}, NSAMETA_INT64);
  c.add_pair(kOneDimension, 70, {0, 0, -3}, {0, 0, 2}, NSAMETA_INT64);
  check_case(c);
}

TEST_P(copy_metadata_layouts, strided_vectors) {
  copy_case c;
  for (const int64_t from : {-3, -1, 0, 1, 2}) {
    for (const int64_t to : {-2, -1, 1, 3}) {
      for (const int64_t count : {1, 50}) c.add_pair(kOneDimension, count, {0, 0, from}, {0, 0, to});
    }
  }
  check_case(c);
}

TEST_P(copy_metadata_layouts, matrices) {
  copy_case c;
  for (const int64_t rows : {1, 2, 33}) {
    for (const int64_t columns : {1, 5, 12, 129}) {
      c.add_pair(rows, columns, {0, columns, 1}, {0, columns, 1});          // both straight
      c.add_pair(rows, columns, {0, columns + 3, 1}, {0, columns + 7, 1});  // rows aligned alike, or nearly
      c.add_pair(rows, columns, {0, 0, 1}, {0, columns + 1, 1});            // one row for all
      c.add_pair(rows, columns, {0, 1, rows}, {0, columns, 1});             // transposed
      c.add_pair(rows, columns, {0, columns, 1}, {0, -1, -rows - 2});       // and turned round
    }
  }
  check_case(c);
}

TEST_P(copy_metadata_layouts, wide_and_tall_matrices) {
  copy_case c;
  c.add_pair(7, 5001, {0, 5004, 1}, {0, 6000, 1}, NSAMETA_INT32, 2, 2);
  c.add_pair(7, 5001, {0, 5003, 1}, {0, 6000, 1}, NSAMETA_INT32, 1, 2);
  c.add_pair(3000, 9, {0, 12, 1}, {0, 10, 1});
  c.add_pair(3000, 2, {0, 2, 1}, {0, 5, 2});
  check_case(c);
}

// Past the size from which the CPU uses more threads, and from which a GPU's tiles grow.
TEST_P(copy_metadata_layouts, large) {
  copy_case c;
  c.add_vector(1 << 21, 1, 1);
  c.add_vector((1 << 19) + 7, 0, 1);
  c.add_pair(513, 2047, {0, 2052, 1}, {0, 4096, 1});
  c.add_pair(1024, 513, {0, 1, 1024}, {0, 520, 1}, NSAMETA_INT64);
  check_case(c);
}

TEST_P(copy_metadata_layouts, as_many_pairs_as_there_may_be) {
  copy_case c;
  for (int64_t i = 0; i < NSAMETA_MAX_COPY_PAIRS; ++i) c.add_vector(1 + i * 37 % 400, i % 4, i % 3);
  check_case(c);
}

TEST_P(copy_metadata_layouts, one_source_for_all) {
  copy_case c;
  const int source = c.add_buffer(100);
  for (int i = 0; i < 10; ++i) {
    const int destination = c.add_buffer(60, i % 4);
    c.pairs.push_back({kOneDimension, 60, {source, {int64_t{i} * 3, 0, 1}}, {destination, {}}});
  }
  check_case(c);
}

TEST_P(copy_metadata_layouts, columns_of_one_matrix) {
  copy_case c;
  const int matrix = c.add_buffer(20 * 16);
  const int source = c.add_buffer(20 * 16);
  c.pairs.push_back({20, 5, {source, {0, 16, 1}}, {matrix, {0, 16, 1}}});
  c.pairs.push_back({18, 3, {source, {3, 5, 1}}, {matrix, {16 + 5, 16, 1}}});          // other rows, next columns
  c.pairs.push_back({kOneDimension, 20, {source, {}}, {matrix, {8, 0, 16}}});          // one column
  c.pairs.push_back({20, 2, {matrix, {14, 16, 1}}, {matrix, {10, 16, 1}}});            // from columns into columns
  c.pairs.push_back({kOneDimension, 2, {source, {}}, {matrix, {3 * 16 + 12, 0, 1}}});  // part of one row
  c.pairs.push_back({5, 2, {source, {9, 1, 7}}, {matrix, {9, 32, 0}}});
  c.pairs.back().num_columns = 1;
  check_case(c);
}

TEST_P(copy_metadata_layouts, interleaved_vectors) {
  copy_case c;
  const int target = c.add_buffer(99);
  const int source = c.add_buffer(33);
  for (int i = 0; i < 3; ++i) {
    c.pairs.push_back({kOneDimension, 33, {source, {}}, {target, {i == 1 ? 97 : i, 0, i == 1 ? -3 : 3}}});
  }
  check_case(c);
}

TEST_P(copy_metadata_layouts, empty_views_are_skipped) {
  copy_case c;
  c.add_vector(0);
  c.add_vector(9);
  c.add_pair(0, 5, {0, 5, 1}, {0, 0, 0});
  c.add_pair(5, 0, {0, 5, 1}, {0, 5, 1});
  bound_copy call(context(), stream(), c);
  call.pairs()[0].source.data = nullptr;
  call.pairs()[0].destination.data = nullptr;
  call.pairs()[2].destination.data = call.pairs()[1].source.data;  // of no element, so nothing overlaps
  check(call);
}

copy_case random_case(random_source& random) {
  copy_case c;
  const int64_t num_pairs = random.in(1, 12);
  for (int64_t i = 0; i < num_pairs; ++i) {
    const auto dtype = random.pick({NSAMETA_INT32, NSAMETA_INT32, NSAMETA_INT64});
    const bool is_vector = random.chance(30);
    const int64_t rows = is_vector ? 1 : random.in(1, 40);
    const int64_t columns = random.chance(10) ? random.in(1, 3000) : random.in(1, 60);
    cell_layout from{0, random.in(-70, 70), random.in(-2, 2)};
    cell_layout to{0, columns + random.in(0, 5), 1};
    if (random.chance(20)) to = {0, random.pick({1, -1}), rows + random.in(0, 3)};
    if (random.chance(50)) from = {0, to.row_stride + random.pick({0, 4, 1}), 1};
    c.add_pair(is_vector ? kOneDimension : rows, columns, from, to, dtype, random.in(0, 4), random.in(0, 4));
  }
  return c;
}

TEST_P(copy_metadata_layouts, random) {
  random_source random(90);
  for (int i = 0; i < 60; ++i) ASSERT_NO_FATAL_FAILURE(check_case(random_case(random))) << "case " << i;
}

}  // namespace
}  // namespace nsameta::test
