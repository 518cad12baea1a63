// The pieces of the oracle. Each takes what the requests are and appends what one group of outputs must hold.
#pragma once

#include "reference/build_metadata.h"

namespace nsameta::reference {

// A request that exists, its lengths made non-negative.
struct request {
  int64_t kv = 0;
  int64_t q = 0;
  int64_t pool_row = -1;
};

// Sums are exact; what is stored are their low 32 bits.
inline int32_t cut(int64_t value) { return static_cast<int32_t>(static_cast<uint32_t>(static_cast<uint64_t>(value))); }

// What token j of the request sees.
int64_t visible_of(const metadata_inputs& in, const request& r, int64_t j);

// The slot of a position, -1 where there is none.
int32_t slot_of(const metadata_inputs& in, const request& r, int64_t position);

void add_tables(const metadata_inputs& in, const std::vector<request>& requests, metadata* out);
void add_schedule(const metadata_inputs& in, const std::vector<request>& requests, metadata* out);
void add_topk_plan(const metadata_inputs& in, const std::vector<request>& requests, metadata* out);

}  // namespace nsameta::reference
