// Writes tokens past the cache.
#pragma once

#include <cstdint>
#include <cstring>

#include "backends/cpu/loops/token_runs.h"
#include "backends/cpu/loops/write_run.h"

namespace nsameta::cpu {
namespace {

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
    const int64_t num_groups = (num - missing) / kGroupTokens<kLanes>;
    run.emit(num_groups, [to = line_](int64_t at, const lanes_group<kLanes>& group) {
      for (int k = 0; k < kGroup<kLanes>; ++k) stream(to + at * kGroupTokens<kLanes> + k * kLanes, group[k]);
    });
    const int64_t direct = num_groups * kGroupTokens<kLanes>;
    line_ += direct;
    if (num > missing + direct) gather(run, num - missing - direct);
  }

 private:
  static constexpr int64_t kLineBytes = 64;
  static constexpr int64_t kLineElements = kLineBytes / static_cast<int64_t>(sizeof(Element));
  static constexpr int64_t kNumElements = 4096 / static_cast<int64_t>(sizeof(Element));
  static constexpr int64_t kMinDirect = 3 * kGroupTokens<kLanes>;
  static_assert(kGroupTokens<kLanes> % kLineElements == 0);

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
    for (int64_t i = done; i < whole; i += kLineElements) stream_bytes<kLineBytes>(line_ + i, buffer_ + i);
    line_ += whole;
    num_buffered_ -= whole;
    if (whole > 0) std::memcpy(buffer_, buffer_ + whole, kLineBytes);
  }

  Element* line_;
  int64_t num_skipped_;  // elements of the first line that are not ours
  int64_t num_buffered_;
  // Runs write whole vectors, and flush() moves a whole line.
  alignas(kLineBytes) Element buffer_[kNumElements + (kLineElements > kLanes ? kLineElements : kLanes)];
};

}  // namespace
}  // namespace nsameta::cpu
