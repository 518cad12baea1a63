// Vectors that the caller may give as int32 or int64.
#pragma once

#include <cstdint>

#include "core/backend.h"

namespace nsameta::cpu {

[[gnu::always_inline]] inline int64_t length_at(const nsameta_lengths& lengths, int64_t i) {
  if (lengths.dtype == NSAMETA_INT64) return static_cast<const int64_t*>(lengths.data)[i * lengths.stride];
  return static_cast<const int32_t*>(lengths.data)[i * lengths.stride];
}

}  // namespace nsameta::cpu
