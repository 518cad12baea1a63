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

// The next kGroup * kLanes values of a run, for long requests. Runs that are made of straight pieces do better.
inline constexpr int kGroup = 4;
using lanes_group = lanes_u32[kGroup];

template <typename Run>
void next_by_lanes(Run& run, lanes_group& group) {
  for (lanes_u32& lanes : group) lanes = run.next();
}

// max(visible, 0 if it clamps), with kCapped not above cap, + constant + base: zeros, a ramp, a plateau.
template <bool kCapped>
class ramp_run {
 public:
  static constexpr bool kIsSum = false;

  ramp_run(bool clamp, int32_t cap, int32_t constant)
      : floor_(clamp ? 0 : INT32_MIN), cap_(cap), constant_(static_cast<uint32_t>(constant)) {}

  void begin(int32_t first_visible, uint32_t base) {
    visible_ = broadcast(static_cast<uint32_t>(first_visible)) + kIota;
    addend_ = broadcast(base + constant_);
  }
  lanes_u32 next() {
    const auto x = (lanes_i32)visible_;
    visible_ += kLanes;
    const lanes_i32 raised = max(x, broadcast(floor_));
    return (lanes_u32)(kCapped ? min(raised, broadcast(cap_)) : raised) + addend_;
  }
  void next(lanes_group& group) {
    constexpr int kTokens = kGroup * kLanes;
    const auto first = static_cast<int32_t>(visible_[0]);
    if (first >= floor_ && first <= cap_ - kTokens) {
      for (int i = 0; i < kGroup; ++i) group[i] = visible_ + addend_ + static_cast<uint32_t>(i * kLanes);
    } else if (first >= cap_) {
      for (lanes_u32& lanes : group) lanes = broadcast(static_cast<uint32_t>(cap_)) + addend_;
    } else {
      return next_by_lanes(*this, group);
    }
    visible_ += kTokens;
  }
  uint32_t value(int32_t visible, uint32_t base) const {
    const int32_t x = visible < floor_ ? floor_ : visible;
    return static_cast<uint32_t>(x < cap_ ? x : cap_) + base + constant_;
  }

 private:
  int32_t floor_;
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
  void next(lanes_group& group) { next_by_lanes(*this, group); }
  static uint32_t value(int32_t, uint32_t base) { return base; }

 private:
  lanes_u32 value_;
};

// dsa(visible) with pools: from linear_last on, topk + place in the pool. The place is carried along, since a division
// for each token would cost more than all else.
class pooled_kept_run {
 public:
  static constexpr bool kIsSum = false;
  pooled_kept_run(bool clamp, const formula::sparsity& sparsity)
      : ramp_(clamp, INT32_MAX, 0), sparsity_(sparsity), step_(kLanes % sparsity.kpool) {
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
  void next(lanes_group& group) { next_by_lanes(*this, group); }
  uint32_t value(int32_t visible, uint32_t) const {
    return static_cast<uint32_t>(formula::dsa(static_cast<int32_t>(ramp_.value(visible, 0)), sparsity_));
  }

 private:
  // (place + by) mod kpool for by <= kpool, without leaving int32.
  lanes_i32 advance(lanes_i32 place, int32_t by) const {
    const lanes_i32 over = place - broadcast(sparsity_.kpool - by);
    return over + (broadcast(sparsity_.kpool) & (over >> 31));
  }

  ramp_run<false> ramp_;
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
  void next(lanes_group& group) { next_by_lanes(*this, group); }
  uint32_t value(int32_t visible, uint32_t base) const { return base + kept_.value(visible, 0); }

 private:
  Kept kept_;
  lanes_u32 before_;
};

}  // namespace nsameta::cpu
