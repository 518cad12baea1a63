// A piece of some KB of a request's row of req_to_token is read once, and written to all rows of all sets while it is
// in the first cache. Threads share out the columns of all requests by weight, wherever those are.
#include "backends/cpu/tables.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <atomic>

#include "backends/cpu/slots.h"

namespace nsameta::cpu {
namespace {

constexpr int64_t kPieceCells = 2048;
// Threads part at multiples of it: of every page size, and whole cache lines of aligned rows.
constexpr int64_t kColumnUnit = 256;
static_assert(kPieceCells % kColumnUnit == 0);
// What reading costs beside the writes: a cell, or of a page the line that its first cell lies in.
constexpr int64_t kReadColumn = 1;
constexpr int64_t kReadPage = 16;

// The tables that are wanted, of all sets.
struct table_list {
  const nsameta_output* slots[NSAMETA_MAX_DESTINATIONS];
  const nsameta_output* pages[NSAMETA_MAX_DESTINATIONS];
  const nsameta_output* flattened[NSAMETA_MAX_DESTINATIONS];
  int num_slots = 0;
  int num_pages = 0;
  int num_flattened = 0;

  explicit table_list(const nsameta_build_metadata_desc& desc) {
    for (int i = 0; i < desc.num_sets; ++i) {
      const nsameta_output_set& set = desc.sets[i];
      if (set.page_table_1.data != nullptr) slots[num_slots++] = &set.page_table_1;
      if (set.real_page_table.data != nullptr) pages[num_pages++] = &set.real_page_table;
      if (set.page_table_1_flattened.data != nullptr) flattened[num_flattened++] = &set.page_table_1_flattened;
    }
  }
};

// One request as the tables see it.
struct table_request {
  int64_t pool_row;
  int64_t kv;
  int64_t live;       // columns that its length asks for
  int64_t first_key;  // in the flattened table
  int64_t first_row;  // in the page tables
  int64_t num_rows;
  int64_t num_columns;  // that some output has room for
  int64_t cost;         // cells that are moved for a column, or for a page if there are only those
};

// The requests of a block, and the prefix sum of their weights.
struct block_layout {
  table_request requests[request_block::kCapacity];
  int64_t weight_before[request_block::kCapacity + 1];
  int size;
};

// A place between two columns.
struct column_point {
  int request;
  int64_t column;
};

int64_t num_written(const nsameta_output& output, const table_request& request) {
  return std::clamp<int64_t>(output.capacity - request.first_row, 0, request.num_rows);
}

class table_writer {
 public:
  table_writer(const request_source& source, const policy& policy)
      : desc_(source.desc),
        loops_(source.loops),
        policy_(policy),
        tables_(source.desc),
        only_pages_(tables_.num_slots + tables_.num_flattened == 0),
        piece_columns_(only_pages_ ? kPieceCells << desc_.page_shift : kPieceCells) {}

  int64_t arrange(const request_block& block, block_layout* layout) const;
  void write(const block_layout& layout, bool is_streamed, bool is_parallel) const;

 private:
  int64_t live_columns(int64_t kv) const;
  int64_t page_columns(const nsameta_output& output, const table_request& request) const;
  void measure(table_request* request) const;
  int64_t weight(const table_request& request, int64_t columns) const {
    return (only_pages_ ? columns >> desc_.page_shift : columns) * request.cost;
  }
  column_point locate(const block_layout& layout, int64_t weight) const;
  void write_between(const block_layout& layout, column_point begin, column_point end, bool is_streamed) const;
  void write_slots(const table_request& request, int64_t begin, int64_t end, bool is_streamed) const;
  void write_pages(const table_request& request, int64_t begin, int64_t end, bool is_streamed) const;

  const nsameta_build_metadata_desc& desc_;
  const loops& loops_;
  const policy& policy_;
  table_list tables_;
  bool only_pages_;
  int64_t piece_columns_;
};

int64_t table_writer::live_columns(int64_t kv) const {
  if (desc_.table_width == NSAMETA_TABLE_FULL) return INT64_MAX >> 1;
  return desc_.table_width == NSAMETA_TABLE_EXACT ? kv : (kv + 127) / 128 * 128;
}

int64_t table_writer::page_columns(const nsameta_output& output, const table_request& request) const {
  const int64_t live_pages = (request.live + (int64_t{1} << desc_.page_shift) - 1) >> desc_.page_shift;
  return std::min(live_pages, output.num_columns);
}

// How far any output goes, and what a column costs.
void table_writer::measure(table_request* request) const {
  request->num_columns = 0;
  request->cost = only_pages_ ? kReadPage : kReadColumn;
  const auto add = [&](int64_t columns, int64_t copies) {
    if (columns > 0 && copies > 0) request->num_columns = std::max(request->num_columns, columns);
    return columns > 0 ? copies : 0;
  };
  for (int i = 0; i < tables_.num_slots; ++i) {
    const nsameta_output& output = *tables_.slots[i];
    request->cost += add(std::min(request->live, output.num_columns), num_written(output, *request));
  }
  for (int i = 0; i < tables_.num_flattened; ++i) {
    const int64_t room = tables_.flattened[i]->capacity - request->first_key;
    request->cost += add(std::min(request->kv, room), 1);
  }
  for (int i = 0; i < tables_.num_pages; ++i) {
    const nsameta_output& output = *tables_.pages[i];
    const int64_t columns = page_columns(output, *request) << desc_.page_shift;
    const int64_t copies = add(columns, num_written(output, *request));
    if (only_pages_) request->cost += copies;
  }
}

// Returns the weight of the block: the cells that it moves, nearly.
int64_t table_writer::arrange(const request_block& block, block_layout* layout) const {
  layout->size = block.size;
  layout->weight_before[0] = 0;
  int64_t token = block.first_token;
  int64_t key = block.first_key;
  for (int i = 0; i < block.size; ++i) {
    table_request& request = layout->requests[i];
    request.pool_row = block.pool_row[i];
    request.kv = block.kv[i];
    request.live = live_columns(request.kv);
    request.first_key = key;
    request.first_row = desc_.tables_by_token != 0 ? token : block.first_request + i;
    request.num_rows = desc_.tables_by_token != 0 ? block.q[i] : 1;
    measure(&request);
    layout->weight_before[i + 1] = layout->weight_before[i] + weight(request, request.num_columns);
    token += block.q[i];
    key += block.kv[i];
  }
  return layout->weight_before[block.size];
}

column_point table_writer::locate(const block_layout& layout, int64_t weight) const {
  const int64_t* const begin = layout.weight_before;
  const auto request = static_cast<int>(std::upper_bound(begin, begin + layout.size + 1, weight) - begin) - 1;
  if (request >= layout.size) return {layout.size, 0};
  const int64_t steps = (weight - begin[request]) / layout.requests[request].cost;
  const int64_t column = only_pages_ ? steps << desc_.page_shift : steps;
  return {request, column / kColumnUnit * kColumnUnit};
}

void table_writer::write(const block_layout& layout, bool is_streamed, bool is_parallel) const {
  const int64_t total = layout.weight_before[layout.size];
  if (!is_parallel) {
    write_between(layout, {0, 0}, {layout.size, 0}, is_streamed);
    return;
  }
  const int64_t most = int64_t{tbb::this_task_arena::max_concurrency()} * policy_.num_ranges_per_thread;
  const int64_t worthwhile = total * 4 / std::max<int64_t>(policy_.min_bytes_per_range, 1);
  const int num_ranges = static_cast<int>(std::clamp<int64_t>(worthwhile, 1, most));
  const auto point = [&](int i) {
    return locate(layout, total / num_ranges * i + total % num_ranges * i / num_ranges);
  };
  tbb::parallel_for(
      tbb::blocked_range<int>(0, num_ranges),
      [&](const tbb::blocked_range<int>& range) {
        write_between(layout, point(range.begin()), point(range.end()), is_streamed);
      },
      tbb::simple_partitioner());
}

void table_writer::write_between(const block_layout& layout, column_point begin, column_point end,
                                 bool is_streamed) const {
  for (int i = begin.request; i < layout.size && i <= end.request; ++i) {
    const table_request& request = layout.requests[i];
    const int64_t last = i == end.request ? std::min(end.column, request.num_columns) : request.num_columns;
    for (int64_t column = i == begin.request ? begin.column : 0; column < last; column += piece_columns_) {
      const int64_t piece_end = std::min(column + piece_columns_, last);
      if (!only_pages_) write_slots(request, column, piece_end, is_streamed);
      if (tables_.num_pages > 0) write_pages(request, column, piece_end, is_streamed);
    }
  }
  if (is_streamed) finish_streaming();
}

// Columns [begin, end), at most kPieceCells.
void table_writer::write_slots(const table_request& request, int64_t begin, int64_t end, bool is_streamed) const {
  int32_t gathered[kPieceCells];
  const slot_row row(desc_.req_to_token, request.pool_row);
  const int32_t* cells = gathered;
  if (row.stride == 1 && end <= row.num_positions) {
    cells = row.data + begin;
  } else {
    loops_.copy_slots(row, begin, end - begin, gathered);
  }
  for (int i = 0; i < tables_.num_slots; ++i) {
    const nsameta_output& output = *tables_.slots[i];
    const int64_t num = std::min({end, request.live, output.num_columns}) - begin;
    const int64_t num_rows = num_written(output, request);
    auto* to =
        static_cast<int32_t*>(output.data) + request.first_row * output.row_stride + begin * output.column_stride;
    for (int64_t r = 0; r < num_rows; ++r, to += output.row_stride) {
      loops_.copy_cells(cells, num, to, output.column_stride, is_streamed);
    }
  }
  for (int i = 0; i < tables_.num_flattened; ++i) {
    const nsameta_output& output = *tables_.flattened[i];
    const int64_t first = request.first_key + begin;
    const int64_t num = std::min(std::min(end, request.kv) - begin, output.capacity - first);
    loops_.copy_cells(cells, num, static_cast<int32_t*>(output.data) + first, 1, is_streamed);
  }
}

// Columns [begin, end), begin being the first of a page. At most kPieceCells pages.
void table_writer::write_pages(const table_request& request, int64_t begin, int64_t end, bool is_streamed) const {
  int32_t cells[kPieceCells];
  const int64_t first = begin >> desc_.page_shift;
  const int64_t num_pages = ((end - 1) >> desc_.page_shift) + 1 - first;
  loops_.copy_pages(slot_row(desc_.req_to_token, request.pool_row), desc_.page_shift, first, num_pages, cells);
  for (int i = 0; i < tables_.num_pages; ++i) {
    const nsameta_output& output = *tables_.pages[i];
    const int64_t num = std::min(num_pages, page_columns(output, request) - first);
    const int64_t num_rows = num_written(output, request);
    auto* to =
        static_cast<int32_t*>(output.data) + request.first_row * output.row_stride + first * output.column_stride;
    for (int64_t r = 0; r < num_rows; ++r, to += output.row_stride) {
      loops_.copy_cells(cells, num, to, output.column_stride, is_streamed);
    }
  }
}

}  // namespace

void write_tables(const request_source& source, const request_block& block, const policy& policy) {
  const table_writer writer(source, policy);
  block_layout layout;
  const int64_t bytes = writer.arrange(block, &layout) * 4;
  writer.write(layout, bytes >= policy.min_stream_bytes, bytes >= policy.min_parallel_bytes);
}

void write_tables(const request_source& source, const balance& balance, const policy& policy) {
  const table_writer writer(source, policy);
  const auto for_each_layout = [&](int chunk, auto visit) {
    for_each_block(source, balance.chunk_begin(chunk), balance.chunk_begin(chunk + 1), balance.sums_before(chunk),
                   [&](const request_block& block, uint64_t) {
                     block_layout layout;
                     const int64_t bytes = writer.arrange(block, &layout) * 4;
                     visit(layout, bytes);
                   });
  };
  std::atomic<int64_t> all_bytes = 0;
  tbb::parallel_for(0, balance.num_chunks(), [&](int chunk) {
    for_each_layout(chunk, [&](const block_layout&, int64_t bytes) { all_bytes += bytes; });
  });
  const bool is_parallel = all_bytes >= policy.min_parallel_bytes;
  const bool is_streamed = all_bytes >= policy.min_stream_bytes;
  const auto write_chunk = [&](int chunk) {
    for_each_layout(chunk, [&](const block_layout& layout, int64_t bytes) {
      writer.write(layout, is_streamed, is_parallel && bytes >= policy.min_parallel_bytes);
    });
  };
  if (is_parallel) {
    tbb::parallel_for(0, balance.num_chunks(), write_chunk);
  } else {
    for (int chunk = 0; chunk < balance.num_chunks(); ++chunk) write_chunk(chunk);
  }
}

}  // namespace nsameta::cpu
