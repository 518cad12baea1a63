// Writes the tokens of a block of requests into one output, from runs (token_runs.h).
#pragma once

#include <cstdint>

#include "backends/cpu/loops/line_writer.h"
#include "backends/cpu/loops/token_runs.h"
#include "backends/cpu/loops/write_run.h"
#include "backends/cpu/request_block.h"

namespace nsameta::cpu {
namespace {

// Plain stores. The first store of a request may run over into the next one's tokens, which are written later, so that
// short requests need no loop; only the end is exact.
template <typename Element, typename Run, typename Base>
void fill_cached(Run run, const request_block& block, Base base, Element* to, int64_t num) {
  constexpr int kNum = Run::kWidth;
  const int size = block.size;
  int64_t at = 0;
  int i = 0;
  for (; i < size && at + kNum <= num; ++i) {
    const int64_t tokens = block.q[i];
    run.begin(block.first_visible[i], base(i));
    store<kNum>(to + at, run.next());
    if (tokens > kNum) write_run(run, to + at + kNum, least(tokens, num - at) - kNum, num - at - kNum);
    at += tokens;
  }
  for (; i < size && at < num; ++i) {
    run.begin(block.first_visible[i], base(i));
    write_run(run, to + at, least(block.q[i], num - at), num - at);
    at += block.q[i];
  }
}

template <typename Element, typename Run, typename Base>
void fill_streamed(Run run, const request_block& block, Base base, Element* to, int64_t num) {
  line_writer<Element> writer(to);
  for (int i = 0; num > 0 && i < block.size; ++i) {
    const int64_t tokens = least(block.q[i], num);
    writer.write(run, block.first_visible[i], base(i), tokens);
    num -= tokens;
  }
}

// Where every request has one token, but for a first one that may have been dropped.
template <typename Element, typename Run, typename Base>
void fill_single(Run run, const request_block& block, Base base, Element* to, int64_t num) {
  const int first = block.size - static_cast<int>(block.num_tokens);
  for (int i = 0; i < static_cast<int>(num); ++i) {
    to[i] = static_cast<int32_t>(run.value(block.first_visible[first + i], base(first + i)));
  }
}

}  // namespace
}  // namespace nsameta::cpu
