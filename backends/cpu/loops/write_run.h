// Writes a run of tokens by plain stores.
#pragma once

#include <cstdint>
#include <cstring>

#include "backends/cpu/loops/token_runs.h"

namespace nsameta::cpu {
namespace {

// Writes `num` values at `to`. Up to `room` elements may be touched: what lies behind the `num` holds anything.
// Runs are passed by value: one whose address is taken would live in memory, not in registers.
template <typename Element, typename Run>
[[gnu::always_inline]] inline void write_run(Run run, Element* to, int64_t num, int64_t room) {
  constexpr int kNum = Run::kWidth;
  const int64_t num_groups = num / kGroupTokens<kNum>;
  run.emit(num_groups, [to](int64_t at, const lanes_group<kNum>& group) {
    for (int k = 0; k < kGroup<kNum>; ++k) store<kNum>(to + at * kGroupTokens<kNum> + k * kNum, group[k]);
  });
  int64_t i = num_groups * kGroupTokens<kNum>;
  for (; i < num && i + kNum <= room; i += kNum) store<kNum>(to + i, run.next());
  if (i >= num) return;
  Element rest[kNum];
  store<kNum>(rest, run.next());
  std::memcpy(to + i, rest, static_cast<size_t>(num - i) * sizeof(Element));
}

}  // namespace
}  // namespace nsameta::cpu
