// Cuts a batch into ranges of equal work, wherever its tokens are: a range may begin and end inside a request.
#pragma once

#include <cstdint>

#include "backends/cpu/policy.h"
#include "backends/cpu/request_block.h"

namespace nsameta::cpu {

// A point between two tokens.
struct boundary {
  int64_t request = 0;      // the request that it lies in or before
  int64_t first_owned = 0;  // the first request whose per-request outputs belong behind the point
  int64_t token = 0;
  running_sums sums;  // before `request`; keys wrapped, and no mqa_work: writers of tokens need no more
};

// The sums over requests [begin, end). *first_fault receives the first fault, 0 if none.
running_sums sum_requests(const request_source& source, int64_t begin, int64_t end, uint64_t* first_fault);

// A request weighs its tokens that some output has room for, plus a constant.
class balance {
 public:
  balance(const request_source& source, int64_t token_limit, const policy& policy);

  // Sums chunks of requests in parallel. Before anything below. Returns the first fault.
  uint64_t sum_chunks();

  const running_sums& total() const { return sums_[num_chunks_]; }
  int64_t num_tokens() const { return total().tokens; }
  int num_chunks() const { return num_chunks_; }
  // The chunks are what other writers share out among threads.
  int64_t chunk_begin(int chunk) const { return batch_ * chunk / num_chunks_; }
  const running_sums& sums_before(int chunk) const { return sums_[chunk]; }
  int64_t total_weight() const { return weight_before(batch_, num_tokens()); }
  // The point with this much weight before it; from total_weight() on the end.
  boundary locate(int64_t weight) const;

 private:
  static constexpr int kMaxChunks = 1024;

  int64_t weight_before(int64_t request, int64_t tokens) const;
  boundary walk(int64_t request, running_sums sums, int64_t weight) const;
  boundary place(const request_block& block, int i, int64_t tokens, int64_t weight) const;

  const request_source& source_;
  int64_t batch_;
  int64_t token_limit_;
  int64_t request_weight_;
  int num_chunks_;
  running_sums sums_[kMaxChunks + 1];  // before each chunk
  uint64_t faults_[kMaxChunks];
};

}  // namespace nsameta::cpu
