// The word in which a launch reports bad device data; core/backend.h has the rules.
#pragma once

#include <cstdint>

#include "core/formula.h"
#include "nsameta/nsameta.h"

namespace nsameta {

// request_idx -1: not tied to one request.
NSAMETA_HD constexpr std::uint64_t fault_word(nsameta_check check, std::int64_t request_idx, std::int64_t value) {
  const std::int64_t cut = value < INT32_MIN ? INT32_MIN : value > INT32_MAX ? INT32_MAX : value;
  const std::uint64_t place = static_cast<std::uint64_t>(request_idx + 1) & 0xffffffU;
  return static_cast<std::uint64_t>(check) << 56U | place << 32U | static_cast<std::uint32_t>(cut);
}

static_assert(fault_word(NSAMETA_CHECK_POOL_ROW, -1, -2) == 0x04000000fffffffeU);
static_assert(fault_word(NSAMETA_CHECK_TOPK_INDEX, 4, std::int64_t{1} << 40) == 0x080000057fffffffU);

}  // namespace nsameta
