// Maps one row of top-k indices; see loops.h.
#pragma once

#include <cstdint>

#include "backends/cpu/lengths.h"
#include "backends/cpu/loops/lanes.h"
#include "core/backend.h"
#include "core/fault.h"

namespace nsameta::cpu {
namespace {

class topk_mapper {
 public:
  topk_mapper(const nsameta_map_topk_to_slots_desc& desc, int64_t token, const topk_row& row)
      : topk_(desc.topk_indices + token * desc.topk_row_stride),
        slots_(desc.slots + token * desc.slots_row_stride),
        cells_(row.cells),
        stride_(desc.table.column_stride),
        offset_(desc.offset.data != nullptr ? length_at(desc.offset, token) : 0),
        limit_(row.fault == 0 ? desc.table.num_columns : 0),
        has_table_(desc.source != NSAMETA_SLOTS_ARE_INDICES),
        token_(token),
        row_fault_(row.fault) {}

  void map(int64_t num) {
    int64_t i = 0;
    if (has_table_ && stride_ == 1 && offset_ == 0) i = map_vectors(num);
    for (; i < num; ++i) map_one(i);
  }
  int32_t num_valid() const { return num_valid_; }
  uint64_t fault() const { return fault_; }

 private:
  void map_one(int64_t i) {
    int32_t slot = -1;
    if (topk_[i] >= 0) {
      const int64_t index = topk_[i] + offset_;
      if (!has_table_) {
        slot = static_cast<int32_t>(index);
      } else if (index >= 0 && index < limit_) {
        slot = cells_[index * stride_];
      } else if (fault_ == 0) {
        fault_ = row_fault_ != 0 ? row_fault_ : fault_word(NSAMETA_CHECK_TOPK_INDEX, token_, index);
      }
    }
    slots_[i] = slot;
    num_valid_ += slot != -1 ? 1 : 0;
  }

  // As many whole vectors as there are; one with an index past the row is done one by one. Returns where it ended.
#if defined(NSAMETA_CPU_GATHERS_512)
  [[gnu::target("avx512f")]]
#endif
  int64_t map_vectors(int64_t num) {
    int64_t i = 0;
#if defined(NSAMETA_CPU_GATHERS_512)
    constexpr int kNum = 16;
    const __m512i limit = _mm512_set1_epi32(static_cast<int32_t>(least(limit_, INT32_MAX)));
    const __m512i none = _mm512_set1_epi32(-1);
    for (; i + kNum <= num; i += kNum) {
      const __m512i index = _mm512_loadu_si512(topk_ + i);
      const __mmask16 is_wanted = _mm512_cmpgt_epi32_mask(index, none);
      if (_mm512_mask_cmpge_epi32_mask(is_wanted, index, limit) != 0) {
        for (int k = 0; k < kNum; ++k) map_one(i + k);
        continue;
      }
      const __m512i slots = _mm512_mask_i32gather_epi32(none, is_wanted, index, cells_, 4);
      _mm512_storeu_si512(slots_ + i, slots);
      num_valid_ += __builtin_popcount(_mm512_cmpneq_epi32_mask(slots, none));
    }
#elif defined(__AVX2__)
    constexpr int kNum = 8;
    const __m256i limit = _mm256_set1_epi32(static_cast<int32_t>(least(limit_, INT32_MAX)));
    const __m256i none = _mm256_set1_epi32(-1);
    for (; i + kNum <= num; i += kNum) {
      const __m256i index = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(topk_ + i));
      const __m256i is_wanted = _mm256_cmpgt_epi32(index, none);
      const __m256i is_inside = _mm256_cmpgt_epi32(limit, index);
      if (_mm256_testc_si256(is_inside, is_wanted) == 0) {
        for (int k = 0; k < kNum; ++k) map_one(i + k);
        continue;
      }
      const __m256i slots = _mm256_mask_i32gather_epi32(none, cells_, index, is_wanted, 4);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(slots_ + i), slots);
      const int is_none = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(slots, none)));
      num_valid_ += kNum - __builtin_popcount(static_cast<unsigned>(is_none));
    }
#else
    (void)num;
#endif
    return i;
  }

  const int32_t* topk_;
  int32_t* slots_;
  const int32_t* cells_;
  int64_t stride_;
  int64_t offset_;
  int64_t limit_;
  bool has_table_;
  int64_t token_;
  uint64_t row_fault_;
  int32_t num_valid_ = 0;
  uint64_t fault_ = 0;
};

uint64_t map_topk_row(const nsameta_map_topk_to_slots_desc& desc, int64_t token, const topk_row& row) {
  topk_mapper mapper(desc, token, row);
  mapper.map(desc.num_topk);
  if (desc.num_valid != nullptr) desc.num_valid[token] = mapper.num_valid();
  return mapper.fault();
}

}  // namespace
}  // namespace nsameta::cpu
