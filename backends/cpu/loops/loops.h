// The loops that every element passes through. The headers of this folder are compiled once for each instruction set,
// by generic.cpp, avx2.cpp and avx512.cpp, into a table each (table.inc); isa.h says which of them a CPU can run, and
// the rest of the backend calls the loops through the table that it was given.
//
// What these files compile has internal linkage, but for the table: of an inline function that several files leave
// behind the linker keeps one, and that might be the one for a CPU that is not there. So they use templates of their
// own or functions that are always inlined, nothing of std that is a function; the test package.loops looks at the
// symbols.
#pragma once

#include <cstdint>

#include "core/backend.h"

namespace nsameta::cpu {

struct request_block;
struct request_source;
struct running_sums;
struct slot_row;

// The row of the table that a token of map_topk_to_slots looks up.
struct topk_row {
  const int32_t* cells = nullptr;  // NULL: every index gives -1
  uint64_t fault = 0;              // why, for the first index that is not negative
};

struct loops {
  const char* isa;

  // Reads requests [first, first + num) and what is needed of their sums. Returns the first fault, 0 if none.
  uint64_t (*load_block)(const request_source& source, int64_t first, int num, const running_sums& before,
                         request_block* block);
  // The per-request outputs of requests [begin, end) of the block, of all sets; cu outputs at r + 1.
  void (*write_request_outputs)(const request_source& source, const request_block& block, int begin, int end);
  // The block's tokens before `end_token`, of all sets, as far as each output has room. Streamed: past the cache.
  void (*write_token_outputs)(const request_source& source, const request_block& block, int64_t end_token,
                              bool is_streamed);
  // `num` elements of one value, past the cache.
  void (*stream_int32)(int32_t* to, int64_t num, int32_t value);
  void (*stream_int64)(int64_t* to, int64_t num, int32_t value);
  // The slots of positions [first, first + num), -1 for those that do not exist.
  void (*copy_slots)(const slot_row& row, int64_t first, int64_t num, int32_t* to);
  // The pages of positions first_page << page_shift and of the beginnings of the next num - 1 pages, likewise.
  void (*copy_pages)(const slot_row& row, int page_shift, int64_t first_page, int64_t num, int32_t* to);
  // Copies to every stride-th cell. Streamed: long rows with stride 1 go past the cache.
  void (*copy_cells)(const int32_t* from, int64_t num, int32_t* to, int64_t stride, bool is_streamed);
  // One row of map_topk_to_slots. Returns its first fault, 0 if none.
  uint64_t (*map_topk_row)(const nsameta_map_topk_to_slots_desc& desc, int64_t token, const topk_row& row);
};

// Orders streamed stores before whatever this thread publishes next: once, after the last of them.
[[gnu::always_inline]] inline void finish_streaming() {
#if defined(__SSE2__)
  __builtin_ia32_sfence();
#endif
}

}  // namespace nsameta::cpu
