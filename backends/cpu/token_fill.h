// Writes the tokens of a block of requests into one output, from runs (token_runs.h).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "backends/cpu/request_block.h"
#include "backends/cpu/token_runs.h"

namespace nsameta::cpu {

inline void store(int32_t* to, lanes_u32 values) { std::memcpy(to, &values, sizeof(values)); }
inline void store(int64_t* to, lanes_u32 values) {
  const auto wide = __builtin_convertvector((lanes_i32)values, lanes_i64);
  std::memcpy(to, &wide, sizeof(wide));
}

// Writes `num` values at `to`. Up to `room` elements may be touched: what lies behind the `num` holds anything.
// Runs are passed by value: one whose address is taken would live in memory, not in registers.
template <typename Element, typename Run>
[[gnu::always_inline]] inline void write_run(Run run, Element* to, int64_t num, int64_t room) {
  const int64_t num_groups = num / kGroupTokens;
  run.emit(num_groups, [to](int64_t at, const lanes_group& group) {
    for (int k = 0; k < kGroup; ++k) store(to + at * kGroupTokens + k * kLanes, group[k]);
  });
  int64_t i = num_groups * kGroupTokens;
  for (; i < num && i + kLanes <= room; i += kLanes) store(to + i, run.next());
  if (i >= num) return;
  Element rest[kLanes];
  store(rest, run.next());
  std::memcpy(to + i, rest, static_cast<size_t>(num - i) * sizeof(Element));
}

// Plain stores. The first store of a request may run over into the next one's tokens, which are written later, so that
// short requests need no loop; only the end is exact.
template <typename Element, typename Run, typename Base>
void fill_cached(Run run, const request_block& block, Base base, Element* to, int64_t num) {
  const int size = block.size;
  int64_t at = 0;
  int i = 0;
  for (; i < size && at + kLanes <= num; ++i) {
    const int64_t tokens = block.q[i];
    run.begin(block.first_visible[i], base(i));
    store(to + at, run.next());
    if (tokens > kLanes) write_run(run, to + at + kLanes, std::min(tokens, num - at) - kLanes, num - at - kLanes);
    at += tokens;
  }
  for (; i < size && at < num; ++i) {
    run.begin(block.first_visible[i], base(i));
    write_run(run, to + at, std::min<int64_t>(block.q[i], num - at), num - at);
    at += block.q[i];
  }
}

// Past the cache: `to` and `from` are aligned to 16 bytes.
inline void stream(int32_t* to, lanes_u32 values) {
#if defined(__SSE2__)
  _mm_stream_si128(reinterpret_cast<__m128i*>(to), (__m128i)values);
#else
  store(to, values);
#endif
}
inline void stream(int64_t* to, lanes_u32 values) {
#if defined(__SSE2__)
  alignas(16) int64_t wide[kLanes];
  store(wide, values);
  for (int i = 0; i < kLanes; i += 2) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + i), *reinterpret_cast<const __m128i*>(wide + i));
  }
#else
  store(to, values);
#endif
}

// Sends whole cache lines past the cache, so that no line is read before it is written, however requests and lines lie:
// short requests and the ends of long ones are gathered in a small buffer, the rest is streamed as it is computed.
template <typename Element>
class line_writer {
 public:
  explicit line_writer(Element* to) {
    const auto skipped = reinterpret_cast<uintptr_t>(to) % kLineBytes / sizeof(Element);
    num_skipped_ = num_buffered_ = static_cast<int64_t>(skipped);
    line_ = to - skipped;
  }
  line_writer(const line_writer&) = delete;
  line_writer& operator=(const line_writer&) = delete;
  ~line_writer() {
    flush();
    std::memcpy(line_ + num_skipped_, buffer_ + num_skipped_,
                static_cast<size_t>(num_buffered_ - num_skipped_) * sizeof(Element));
  }

  // The next `num` values of a request.
  template <typename Run>
  void write(Run run, int32_t first_visible, uint32_t base, int64_t num) {
    run.begin(first_visible, base);
    if (num < kMinDirect) return gather(run, num);
    const int64_t missing = (kLineElements - num_buffered_ % kLineElements) % kLineElements;
    if (missing > 0) {
      gather(run, missing);
      const auto last = static_cast<uint32_t>(buffer_[num_buffered_ - 1]);
      run.begin(formula::wrap_add(first_visible, static_cast<int32_t>(missing)), Run::kIsSum ? last : base);
    }
    if (num_buffered_ > 0) flush();
    const int64_t num_groups = (num - missing) / kGroupTokens;
    run.emit(num_groups, [to = line_](int64_t at, const lanes_group& group) {
      for (int k = 0; k < kGroup; ++k) stream(to + at * kGroupTokens + k * kLanes, group[k]);
    });
    const int64_t direct = num_groups * kGroupTokens;
    line_ += direct;
    if (num > missing + direct) gather(run, num - missing - direct);
  }

 private:
  static constexpr int64_t kLineBytes = 64;
  static constexpr int64_t kLineElements = kLineBytes / static_cast<int64_t>(sizeof(Element));
  static constexpr int64_t kNumElements = 4096 / static_cast<int64_t>(sizeof(Element));
  static constexpr int64_t kMinDirect = 3 * kGroupTokens;
  static_assert(kGroupTokens % kLineElements == 0);

  template <typename Run>
  void gather(Run run, int64_t num) {
    if (num_buffered_ + num > kNumElements) flush();
    write_run(run, buffer_ + num_buffered_, num, num + kLanes);
    num_buffered_ += num;
  }

  // Writes the whole lines and keeps the rest, less than a line.
  void flush() {
    int64_t done = 0;
    if (num_skipped_ > 0 && num_buffered_ >= kLineElements) {
      std::memcpy(line_ + num_skipped_, buffer_ + num_skipped_,
                  static_cast<size_t>(kLineElements - num_skipped_) * sizeof(Element));
      num_skipped_ = 0;
      done = kLineElements;
    }
    const int64_t whole = num_buffered_ / kLineElements * kLineElements;
    for (int64_t i = done; i < whole; i += kLineElements) stream_line(line_ + i, buffer_ + i);
    line_ += whole;
    num_buffered_ -= whole;
    if (whole > 0) std::memcpy(buffer_, buffer_ + whole, kLineBytes);
  }

  static void stream_line(Element* to, const Element* from) {
#if defined(__SSE2__)
    for (int i = 0; i < kLineBytes / 16; ++i) {
      _mm_stream_si128(reinterpret_cast<__m128i*>(to) + i, reinterpret_cast<const __m128i*>(from)[i]);
    }
#else
    std::memcpy(to, from, kLineBytes);
#endif
  }

  Element* line_;
  int64_t num_skipped_;  // elements of the first line that are not ours
  int64_t num_buffered_;
  alignas(kLineBytes) Element buffer_[kNumElements + kLineElements];
};

// Orders streamed stores before whatever this thread publishes next.
inline void finish_streaming() {
#if defined(__SSE2__)
  _mm_sfence();
#endif
}

template <typename Element, typename Run, typename Base>
void fill_streamed(Run run, const request_block& block, Base base, Element* to, int64_t num) {
  line_writer<Element> writer(to);
  for (int i = 0; num > 0 && i < block.size; ++i) {
    const int64_t tokens = std::min<int64_t>(block.q[i], num);
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

}  // namespace nsameta::cpu
