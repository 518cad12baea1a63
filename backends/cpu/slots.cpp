#include "backends/cpu/slots.h"

#include <algorithm>

namespace nsameta::cpu {
namespace {

template <typename Element>
void copy(const slot_row& row, int64_t first, int64_t num, Element* to) {
  const int64_t num_before = std::clamp<int64_t>(-first, 0, num);
  const int64_t end = std::clamp<int64_t>(row.num_positions - first, num_before, num);
  std::fill(to, to + num_before, -1);
  if (row.stride == 1) {
    if (num_before < end) std::copy(row.data + first + num_before, row.data + first + end, to + num_before);
  } else {
    for (int64_t i = num_before; i < end; ++i) to[i] = row.data[(first + i) * row.stride];
  }
  std::fill(to + end, to + num, -1);
}

}  // namespace

void copy_slots(const slot_row& row, int64_t first, int64_t num, int32_t* to) { copy(row, first, num, to); }
void copy_slots(const slot_row& row, int64_t first, int64_t num, int64_t* to) { copy(row, first, num, to); }

void copy_pages(const slot_row& row, int page_shift, int64_t first_page, int64_t num, int32_t* to) {
  const int64_t num_pages = (row.num_positions + (int64_t{1} << page_shift) - 1) >> page_shift;
  const int64_t end = std::clamp<int64_t>(num_pages - first_page, 0, num);
  for (int64_t i = 0; i < end; ++i) to[i] = row.data[((first_page + i) << page_shift) * row.stride] >> page_shift;
  std::fill(to + end, to + num, -1);
}

}  // namespace nsameta::cpu
