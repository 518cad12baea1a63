// One thread for small jobs; else all pairs at once, each cut into blocks of rows and columns.
#include <tbb/blocked_range.h>
#include <tbb/blocked_range2d.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cstring>

#include "backends/cpu/state.h"
#include "core/backend.h"

namespace nsameta::cpu {
namespace {

using desc_t = nsameta_copy_metadata_desc;

struct interval {
  int64_t begin;
  int64_t end;
};

template <typename Element>
void copy_cells(const nsameta_copy& c, interval rows, interval columns) {
  const auto num_columns = columns.end - columns.begin;
  const bool is_straight = c.source_column_stride == 1 && c.destination_column_stride == 1;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const auto* from =
        static_cast<const Element*>(c.source) + row * c.source_row_stride + columns.begin * c.source_column_stride;
    auto* to = static_cast<Element*>(c.destination) + row * c.destination_row_stride +
               columns.begin * c.destination_column_stride;
    if (is_straight) {
      std::memcpy(to, from, static_cast<size_t>(num_columns) * sizeof(Element));
      continue;
    }
    for (int64_t i = 0; i < num_columns; ++i) to[i * c.destination_column_stride] = from[i * c.source_column_stride];
  }
}

void copy_cells(const nsameta_copy& c, interval rows, interval columns) {
  if (c.dtype == NSAMETA_INT64) {
    copy_cells<int64_t>(c, rows, columns);
  } else {
    copy_cells<int32_t>(c, rows, columns);
  }
}

int64_t element_bytes(const nsameta_copy& c) { return c.dtype == NSAMETA_INT64 ? 8 : 4; }

void copy_in_parallel(const nsameta_copy& c, const policy& policy) {
  const int64_t row_bytes = c.num_columns * element_bytes(c);
  const auto column_grain = std::max<int64_t>(policy.min_bytes_per_range / element_bytes(c), 1);
  const auto row_grain = std::max<int64_t>(policy.min_bytes_per_range / row_bytes, 1);
  const tbb::blocked_range2d<int64_t> cells(0, c.num_rows, static_cast<size_t>(row_grain), 0, c.num_columns,
                                            static_cast<size_t>(column_grain));
  tbb::parallel_for(cells, [&c](const tbb::blocked_range2d<int64_t>& part) {
    copy_cells(c, {part.rows().begin(), part.rows().end()}, {part.cols().begin(), part.cols().end()});
  });
}

}  // namespace

nsameta_status copy_metadata(void* state, const desc_t* desc, void*) {
  auto* context = static_cast<context_state*>(state);
  const policy& policy = context->policy;
  int64_t bytes = 0;
  for (int32_t i = 0; i < desc->num_copies; ++i) {
    const nsameta_copy& c = desc->copies[i];
    bytes += c.num_rows * c.num_columns * element_bytes(c);
  }
  if (bytes < policy.min_parallel_bytes) {
    for (int32_t i = 0; i < desc->num_copies; ++i) {
      const nsameta_copy& c = desc->copies[i];
      copy_cells(c, {0, c.num_rows}, {0, c.num_columns});
    }
    return NSAMETA_OK;
  }
  context->workers.run(bytes, policy, [&] {
    tbb::parallel_for(int32_t{0}, desc->num_copies, [&](int32_t i) { copy_in_parallel(desc->copies[i], policy); });
  });
  return NSAMETA_OK;
}

}  // namespace nsameta::cpu
