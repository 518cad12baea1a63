// Reads the KV slots of a request; see loops.h.
#pragma once

#include <cstdint>
#include <cstring>

#include "backends/cpu/loops/lanes.h"
#include "backends/cpu/slots.h"

namespace nsameta::cpu {
namespace {

template <typename Element>
void copy_slots(const slot_row& row, int64_t first, int64_t num, Element* to) {
  const int64_t num_before = limited(-first, 0, num);
  const int64_t end = limited(row.num_positions - first, num_before, num);
  for (int64_t i = 0; i < num_before; ++i) to[i] = -1;
  if (row.stride == 1) {
    for (int64_t i = num_before; i < end; ++i) to[i] = row.data[first + i];
  } else {
    for (int64_t i = num_before; i < end; ++i) to[i] = row.data[(first + i) * row.stride];
  }
  for (int64_t i = end; i < num; ++i) to[i] = -1;
}

void copy_pages(const slot_row& row, int page_shift, int64_t first_page, int64_t num, int32_t* to) {
  const int64_t num_pages = (row.num_positions + (int64_t{1} << page_shift) - 1) >> page_shift;
  const int64_t end = limited(num_pages - first_page, 0, num);
  for (int64_t i = 0; i < end; ++i) to[i] = row.data[((first_page + i) << page_shift) * row.stride] >> page_shift;
  for (int64_t i = end; i < num; ++i) to[i] = -1;
}

}  // namespace
}  // namespace nsameta::cpu
