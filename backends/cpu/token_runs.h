// The values of one request's tokens, several at a time. A run starts at the visible length of a token and a base that
// the request gives, and next() yields the values of the next kLanes tokens; value() is the same for a single token.
// Lanes past the end of a request hold values that nobody reads.
#pragma once

#include <cstdint>

#include "core/formula.h"

namespace nsameta::cpu {

inline constexpr int kLanes = 4;
using lanes_u32 = uint32_t __attribute__((vector_size(4 * kLanes)));
using lanes_i32 = int32_t __attribute__((vector_size(4 * kLanes)));
using lanes_i64 = int64_t __attribute__((vector_size(8 * kLanes)));

inline constexpr lanes_u32 kIota = {0, 1, 2, 3};

inline lanes_u32 broadcast(uint32_t x) { return lanes_u32{} + x; }
inline lanes_i32 broadcast(int32_t x) { return (lanes_i32)broadcast(static_cast<uint32_t>(x)); }

inline lanes_i32 select(lanes_i32 mask, lanes_i32 a, lanes_i32 b) { return (mask & a) | (~mask & b); }
inline lanes_i32 max(lanes_i32 a, lanes_i32 b) { return select(a > b, a, b); }
inline lanes_i32 min(lanes_i32 a, lanes_i32 b) { return select(a < b, a, b); }

// kGroup * kLanes values, what long requests are written in.
inline constexpr int kGroup = 4;
inline constexpr int kGroupTokens = kGroup * kLanes;
using lanes_group = lanes_u32[kGroup];

// Hands the values of the next `num_groups` groups to sink(i, group). Runs of straight pieces have a faster one.
template <typename Run, typename Sink>
[[gnu::always_inline]] inline void emit_by_lanes(Run& run, int64_t num_groups, Sink sink) {
  for (int64_t i = 0; i < num_groups; ++i) {
    lanes_group group;
    for (lanes_u32& lanes : group) lanes = run.next();
    sink(i, group);
  }
}

// max(visible, 0 if kClamped), if kCapped not above cap, if kShifted + constant + base: zeros, a ramp, a plateau.
template <bool kCapped, bool kClamped, bool kShifted>
class ramp_run {
 public:
  static constexpr bool kIsSum = false;

  explicit ramp_run(int32_t cap = INT32_MAX, int32_t constant = 0)
      : cap_(cap), constant_(static_cast<uint32_t>(constant)) {}

  void begin(int32_t first_visible, uint32_t base) {
    visible_ = broadcast(static_cast<uint32_t>(first_visible)) + kIota;
    if constexpr (kShifted) addend_ = broadcast(base + constant_);
  }
  lanes_u32 next() {
    auto x = (lanes_i32)visible_;
    visible_ += kLanes;
    if constexpr (kClamped) x = max(x, lanes_i32{});
    if constexpr (kCapped) x = min(x, broadcast(cap_));
    return shifted((lanes_u32)x);
  }
  template <typename Sink>
  [[gnu::always_inline]] void emit(int64_t num_groups, Sink sink) {
    for (int64_t i = 0; i < num_groups;) {
      const auto first = static_cast<int32_t>(visible_[0]);
      const bool is_ramp = (!kClamped || first >= 0) && (!kCapped || first <= cap_ - kGroupTokens);
      if (is_ramp) {
        const int64_t left = kCapped ? (int64_t{cap_} - first) / kGroupTokens : num_groups;
        i = emit_ramp(i, num_groups - i < left ? num_groups : i + left, sink);
      } else if (kCapped && first >= cap_) {
        return emit_plateau(i, num_groups, sink);
      } else {
        emit_by_lanes(*this, 1, [&](int64_t, const lanes_group& group) { sink(i, group); });
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
  lanes_u32 shifted(lanes_u32 x) const {
    if constexpr (kShifted) return x + addend_;
    return x;
  }

  template <typename Sink>
  [[gnu::always_inline]] int64_t emit_ramp(int64_t i, int64_t end, Sink sink) {
    lanes_group group;
    for (int k = 0; k < kGroup; ++k) group[k] = shifted(visible_) + static_cast<uint32_t>(k * kLanes);
    visible_ += static_cast<uint32_t>((end - i) * kGroupTokens);
    for (; i < end; ++i) {
      sink(i, group);
      for (lanes_u32& lanes : group) lanes += kGroupTokens;
    }
    return end;
  }

  template <typename Sink>
  [[gnu::always_inline]] void emit_plateau(int64_t i, int64_t end, Sink sink) {
    lanes_group group;
    for (lanes_u32& lanes : group) lanes = shifted(broadcast(static_cast<uint32_t>(cap_)));
    visible_ += static_cast<uint32_t>((end - i) * kGroupTokens);
    for (; i < end; ++i) sink(i, group);
  }

  int32_t cap_;
  uint32_t constant_;
  lanes_u32 visible_;
  lanes_u32 addend_;
};

// The base of the request alone.
class constant_run {
 public:
  static constexpr bool kIsSum = false;

  void begin(int32_t, uint32_t base) { value_ = broadcast(base); }
  lanes_u32 next() { return value_; }
  template <typename Sink>
  [[gnu::always_inline]] void emit(int64_t num_groups, Sink sink) {
    emit_by_lanes(*this, num_groups, sink);
  }
  static uint32_t value(int32_t, uint32_t base) { return base; }

 private:
  lanes_u32 value_;
};

// dsa(visible) with pools: from linear_last on, topk + place in the pool. The place is carried along, since a division
// for each token would cost more than all else.
template <bool kClamped>
class pooled_kept_run {
 public:
  static constexpr bool kIsSum = false;
  explicit pooled_kept_run(const formula::sparsity& sparsity) : sparsity_(sparsity), step_(kLanes % sparsity.kpool) {
    for (int i = 0; i < kLanes; ++i) lane_place_[i] = i % sparsity.kpool;
  }

  void begin(int32_t first_visible, uint32_t) {
    ramp_.begin(first_visible, 0);
    const int32_t place = first_visible % sparsity_.kpool;
    place_ = advance(lane_place_, place < 0 ? place + sparsity_.kpool : place);
  }
  lanes_u32 next() {
    const auto x = (lanes_i32)ramp_.next();
    const lanes_u32 pooled = (lanes_u32)place_ + static_cast<uint32_t>(sparsity_.topk);
    place_ = advance(place_, step_);
    return (lanes_u32)select(x > broadcast(sparsity_.linear_last), (lanes_i32)pooled, x);
  }
  template <typename Sink>
  [[gnu::always_inline]] void emit(int64_t num_groups, Sink sink) {
    emit_by_lanes(*this, num_groups, sink);
  }
  uint32_t value(int32_t visible, uint32_t) const {
    return static_cast<uint32_t>(formula::dsa(static_cast<int32_t>(ramp_.value(visible, 0)), sparsity_));
  }

 private:
  // (place + by) mod kpool for by <= kpool, without leaving int32.
  lanes_i32 advance(lanes_i32 place, int32_t by) const {
    const lanes_i32 over = place - broadcast(sparsity_.kpool - by);
    return over + (broadcast(sparsity_.kpool) & (over >> 31));
  }

  ramp_run<false, kClamped, false> ramp_;
  formula::sparsity sparsity_;
  int32_t step_;
  lanes_i32 lane_place_;
  lanes_i32 place_;
};

// Sum of dsa(visible) up to and with the token; the base is the sum before the first one.
template <typename Kept>
class kept_sum_run {
 public:
  static constexpr bool kIsSum = true;  // the base changes from token to token
  explicit kept_sum_run(const Kept& kept) : kept_(kept) {}

  void begin(int32_t first_visible, uint32_t base) {
    kept_.begin(first_visible, 0);
    before_ = broadcast(base);
  }
  lanes_u32 next() {
    lanes_u32 sum = kept_.next();
    sum += lanes_u32{0, sum[0], sum[1], sum[2]};
    sum += lanes_u32{0, 0, sum[0], sum[1]};
    sum += before_;
    before_ = broadcast(sum[3]);
    return sum;
  }
  template <typename Sink>
  [[gnu::always_inline]] void emit(int64_t num_groups, Sink sink) {
    emit_by_lanes(*this, num_groups, sink);
  }
  uint32_t value(int32_t visible, uint32_t base) const { return base + kept_.value(visible, 0); }

 private:
  Kept kept_;
  lanes_u32 before_;
};

}  // namespace nsameta::cpu
