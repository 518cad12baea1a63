// A metadata_case drawn over every dimension at once: modes, lengths, layouts, outputs, capacities, tails, faults.
#pragma once

#include <cstdint>

#include "tests/support/metadata_case.h"

namespace nsameta::test {

// Which cases are usual. A fuzzer wants millions of small ones, and more that are hostile.
struct case_limits {
  int64_t usual_batch = 70;  // 80 of 100 batches are at most this
  int64_t large_batch = 5000;
  int64_t pool_cells = 60'000;
  int64_t table_cells = 40'000;
  int64_t num_keys = 20'000;
  int64_t num_tokens = INT64_MAX;  // capacity of per-token outputs beyond which T is not followed
  int percent_hostile = 0;         // lengths at the ends of their types and around powers of two
};

metadata_case draw_case(random_source& random, const case_limits& limits = {});

}  // namespace nsameta::test
