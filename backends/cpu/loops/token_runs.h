// The values of one request's tokens, several at a time. A run starts at the visible length of a token and a base that
// the request gives, and next() yields the values of the next kNum tokens; value() is the same for a single token.
// Lanes past the end of a request hold values that nobody reads. narrow() is the same run, a few tokens at a time.
#pragma once

#include <cstdint>

#include "backends/cpu/loops/lanes.h"
#include "core/formula.h"

namespace nsameta::cpu {
namespace {

// For requests of few tokens: what a wide vector writes beside them costs more than it gains.
constexpr int kNarrowLanes = 4;

// Vectors of a step through long requests.
template <int kNum>
constexpr int kGroup = kNum == 4 ? 4 : 2;
template <int kNum>
constexpr int kGroupTokens = kGroup<kNum> * kNum;
template <int kNum>
using lanes_group = lanes_u32<kNum>[kGroup<kNum>];

// Hands the values of the next `num_groups` groups to sink(i, group). Runs of straight pieces have a faster one.
template <int kNum, typename Run, typename Sink>
[[gnu::always_inline]] inline void emit_by_lanes(Run& run, int64_t num_groups, Sink sink) {
  for (int64_t i = 0; i < num_groups; ++i) {
    lanes_group<kNum> group;
    for (auto& lanes : group) lanes = run.next();
    sink(i, group);
  }
}

// max(visible, 0 if kClamped), if kCapped not above cap, if kShifted + constant + base: zeros, a ramp, a plateau.
template <bool kCapped, bool kClamped, bool kShifted, int kNum = kLanes>
class ramp_run {
 public:
  static constexpr int kWidth = kNum;
  static constexpr bool kIsSum = false;

  explicit ramp_run(int32_t cap = INT32_MAX, int32_t constant = 0)
      : cap_(cap), constant_(static_cast<uint32_t>(constant)) {}
  auto narrow() const {
    return ramp_run<kCapped, kClamped, kShifted, kNarrowLanes>(cap_, static_cast<int32_t>(constant_));
  }

  void begin(int32_t first_visible, uint32_t base) {
    visible_ = broadcast<kNum>(static_cast<uint32_t>(first_visible)) + iota<kNum>();
    if constexpr (kShifted) addend_ = broadcast<kNum>(base + constant_);
  }
  lanes_u32<kNum> next() {
    auto x = (lanes_i32<kNum>)visible_;
    visible_ += kNum;
    if constexpr (kClamped) x = max(x, lanes_i32<kNum>{});
    if constexpr (kCapped) x = min(x, broadcast<kNum>(cap_));
    return shifted((lanes_u32<kNum>)x);
  }
  template <typename Sink>
  [[gnu::always_inline]] void emit(int64_t num_groups, Sink sink) {
    for (int64_t i = 0; i < num_groups;) {
      const auto first = static_cast<int32_t>(visible_[0]);
      const bool is_ramp = (!kClamped || first >= 0) && (!kCapped || first <= cap_ - kGroupTokens<kNum>);
      if (is_ramp) {
        const int64_t left = kCapped ? (int64_t{cap_} - first) / kGroupTokens<kNum> : num_groups;
        i = emit_ramp(i, num_groups - i < left ? num_groups : i + left, sink);
      } else if (kCapped && first >= cap_) {
        return emit_plateau(i, num_groups, sink);
      } else {
        emit_by_lanes<kNum>(*this, 1, [&](int64_t, const lanes_group<kNum>& group) { sink(i, group); });
        ++i;
      }
    }
  }
  uint32_t value(int32_t visible, uint32_t base) const {
    int32_t x = kClamped && visible < 0 ? 0 : visible;
    if (kCapped && x > cap_) x = cap_;
    return static_cast<uint32_t>(x) + (kShifted ? base + constant_ : 0);
  }

 private:
  [[gnu::always_inline]] lanes_u32<kNum> shifted(lanes_u32<kNum> x) const {
    if constexpr (kShifted) return x + addend_;
    return x;
  }

  template <typename Sink>
  [[gnu::always_inline]] int64_t emit_ramp(int64_t i, int64_t end, Sink sink) {
    lanes_group<kNum> group;
    for (int k = 0; k < kGroup<kNum>; ++k) group[k] = shifted(visible_) + static_cast<uint32_t>(k * kNum);
    visible_ += static_cast<uint32_t>((end - i) * kGroupTokens<kNum>);
    for (; i < end; ++i) {
      sink(i, group);
      for (auto& lanes : group) lanes += kGroupTokens<kNum>;
    }
    return end;
  }

  template <typename Sink>
  [[gnu::always_inline]] void emit_plateau(int64_t i, int64_t end, Sink sink) {
    lanes_group<kNum> group;
    for (auto& lanes : group) lanes = shifted(broadcast<kNum>(static_cast<uint32_t>(cap_)));
    visible_ += static_cast<uint32_t>((end - i) * kGroupTokens<kNum>);
    for (; i < end; ++i) sink(i, group);
  }

  int32_t cap_;
  uint32_t constant_;
  lanes_u32<kNum> visible_;
  lanes_u32<kNum> addend_;
};

// The base of the request alone.
template <int kNum = kLanes>
class constant_run {
 public:
  static constexpr int kWidth = kNum;
  static constexpr bool kIsSum = false;

  static auto narrow() { return constant_run<kNarrowLanes>(); }
  void begin(int32_t, uint32_t base) { value_ = broadcast<kNum>(base); }
  lanes_u32<kNum> next() { return value_; }
  template <typename Sink>
  [[gnu::always_inline]] void emit(int64_t num_groups, Sink sink) {
    emit_by_lanes<kNum>(*this, num_groups, sink);
  }
  static uint32_t value(int32_t, uint32_t base) { return base; }

 private:
  lanes_u32<kNum> value_;
};

// dsa(visible) with pools: from linear_last on, topk + place in the pool. The place is carried along, since a division
// for each token would cost more than all else.
template <bool kClamped, int kNum = kLanes>
class pooled_kept_run {
 public:
  static constexpr int kWidth = kNum;
  static constexpr bool kIsSum = false;

  explicit pooled_kept_run(const formula::sparsity& sparsity) : sparsity_(sparsity), step_(kNum % sparsity.kpool) {
    for (int i = 0; i < kNum; ++i) lane_place_[i] = i % sparsity.kpool;
  }
  auto narrow() const { return pooled_kept_run<kClamped, kNarrowLanes>(sparsity_); }

  void begin(int32_t first_visible, uint32_t) {
    ramp_.begin(first_visible, 0);
    const int32_t place = first_visible % sparsity_.kpool;
    place_ = advance(lane_place_, place < 0 ? place + sparsity_.kpool : place);
  }
  lanes_u32<kNum> next() {
    const auto x = (lanes_i32<kNum>)ramp_.next();
    const auto pooled = (lanes_u32<kNum>)place_ + static_cast<uint32_t>(sparsity_.topk);
    place_ = advance(place_, step_);
    return (lanes_u32<kNum>)(x > broadcast<kNum>(sparsity_.linear_last) ? (lanes_i32<kNum>)pooled : x);
  }
  template <typename Sink>
  [[gnu::always_inline]] void emit(int64_t num_groups, Sink sink) {
    emit_by_lanes<kNum>(*this, num_groups, sink);
  }
  uint32_t value(int32_t visible, uint32_t) const {
    return static_cast<uint32_t>(formula::dsa(static_cast<int32_t>(ramp_.value(visible, 0)), sparsity_));
  }

 private:
  // (place + by) mod kpool for by <= kpool, without leaving int32.
  [[gnu::always_inline]] lanes_i32<kNum> advance(lanes_i32<kNum> place, int32_t by) const {
    const lanes_i32<kNum> over = place - broadcast<kNum>(sparsity_.kpool - by);
    return over + (broadcast<kNum>(sparsity_.kpool) & (over >> 31));
  }

  ramp_run<false, kClamped, false, kNum> ramp_;
  formula::sparsity sparsity_;
  int32_t step_;
  lanes_i32<kNum> lane_place_;
  lanes_i32<kNum> place_;
};

// Sum of dsa(visible) up to and with the token; the base is the sum before the first one.
template <typename Kept>
class kept_sum_run {
 public:
  static constexpr int kWidth = Kept::kWidth;
  static constexpr bool kIsSum = true;  // the base changes from token to token

  explicit kept_sum_run(const Kept& kept) : kept_(kept) {}
  auto narrow() const {
    const auto kept = kept_.narrow();
    return kept_sum_run<std::remove_const_t<decltype(kept)>>(kept);
  }

  void begin(int32_t first_visible, uint32_t base) {
    kept_.begin(first_visible, 0);
    before_ = broadcast<kWidth>(base);
  }
  lanes_u32<kWidth> next() {
    const auto sums = prefix_sums<kWidth>(kept_.next()) + before_;
    before_ = broadcast<kWidth>(static_cast<uint32_t>(sums[kWidth - 1]));
    return sums;
  }
  template <typename Sink>
  [[gnu::always_inline]] void emit(int64_t num_groups, Sink sink) {
    emit_by_lanes<kWidth>(*this, num_groups, sink);
  }
  uint32_t value(int32_t visible, uint32_t base) const { return base + kept_.value(visible, 0); }

 private:
  Kept kept_;
  lanes_u32<kWidth> before_;
};

}  // namespace
}  // namespace nsameta::cpu
