// Comparisons of a launch's size with the tunables. The code that chooses asks them one by one, and is the same for a
// launch, where nobody listens, and for its explanation, where each is written down.
#pragma once

#include <cinttypes>
#include <cstdint>

#include "backends/simt/tunables.h"
#include "core/text_writer.h"

namespace nsameta::simt {

class silent_rules {
 public:
  explicit silent_rules(const tunable_values& values) : values_(values) {}

  std::int64_t operator[](tunable t) const { return values_[t]; }
  // `value` names what is compared. The limit is the tunable's, `times` over.
  bool at_most(const char*, std::int64_t value, tunable t, std::int64_t times = 1) const {
    return value <= values_[t] * times;
  }
  bool at_least(const char*, std::int64_t value, tunable t, std::int64_t times = 1) const {
    return value >= values_[t] * times;
  }
  bool more_than(const char*, std::int64_t value, tunable t) const { return value > values_[t]; }
  // What no tunable has a say in.
  bool holds(const char*, bool answer) const { return answer; }

 private:
  const tunable_values& values_;
};

class told_rules {
 public:
  told_rules(const tunable_values& values, text_writer* text) : values_(values), text_(*text) {}

  std::int64_t operator[](tunable t) const {
    text_.line("uses: %s %" PRId32, describe(t).name, values_[t]);
    return values_[t];
  }
  bool at_most(const char* what, std::int64_t value, tunable t, std::int64_t times = 1) const {
    return tell(what, value, "<=", t, times, value <= values_[t] * times);
  }
  bool at_least(const char* what, std::int64_t value, tunable t, std::int64_t times = 1) const {
    return tell(what, value, ">=", t, times, value >= values_[t] * times);
  }
  bool more_than(const char* what, std::int64_t value, tunable t) const {
    return tell(what, value, ">", t, 1, value > values_[t]);
  }
  bool holds(const char* what, bool answer) const {
    text_.line("fact: %s: %s", what, answer ? "yes" : "no");
    return answer;
  }

  text_writer& text() const { return text_; }

 private:
  bool tell(const char* what, std::int64_t value, const char* comparison, tunable t, std::int64_t times,
            bool answer) const {
    text_.line("rule: %s %" PRId64 " %s %" PRId64 " (%s %" PRId32 "): %s", what, value, comparison, values_[t] * times,
               describe(t).name, values_[t], answer ? "yes" : "no");
    return answer;
  }

  const tunable_values& values_;
  text_writer& text_;
};

}  // namespace nsameta::simt
