// Where the library and the oracle differ.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "nsameta/nsameta.h"

namespace nsameta::cli {

struct mismatch {
  int64_t step;
  nsameta_mode mode;
  std::string output;
  int64_t index;  // row-major
  int64_t expected;
  int64_t got;
};

inline constexpr size_t kMaxMismatchesKept = 10;

// The mismatches of a run: all are counted, the first are kept.
struct mismatch_list {
  int64_t count = 0;
  std::vector<mismatch> first;

  void add(mismatch m) {
    if (first.size() < kMaxMismatchesKept) first.push_back(std::move(m));
    ++count;
  }
};

}  // namespace nsameta::cli
