#include "backends/cpu/balance.h"

#include <tbb/parallel_for.h>

#include <algorithm>

namespace nsameta::cpu {

running_sums sum_requests(const request_source& source, int64_t begin, int64_t end, uint64_t* first_fault) {
  *first_fault = 0;
  return for_each_block(source, begin, end, {}, [&](const request_block&, uint64_t fault) {
    if (*first_fault == 0) *first_fault = fault;
  });
}

balance::balance(const request_source& source, int64_t token_limit, const policy& policy)
    : source_(source),
      batch_(source.batch),
      token_limit_(token_limit),
      request_weight_(std::max(policy.request_weight_tokens, 1)),
      num_chunks_(
          static_cast<int>(std::clamp<int64_t>(batch_ / std::max(policy.min_requests_per_chunk, 1), 1, kMaxChunks))) {}

uint64_t balance::sum_chunks() {
  tbb::parallel_for(0, num_chunks_, [&](int chunk) {
    sums_[chunk + 1] = sum_requests(source_, chunk_begin(chunk), chunk_begin(chunk + 1), &faults_[chunk]);
  });
  uint64_t first_fault = 0;
  for (int chunk = 0; chunk < num_chunks_; ++chunk) {
    sums_[chunk + 1].tokens += sums_[chunk].tokens;
    sums_[chunk + 1].keys += sums_[chunk].keys;
    sums_[chunk + 1].mqa_work += sums_[chunk].mqa_work;
    sums_[chunk + 1].kept += sums_[chunk].kept;
    if (first_fault == 0) first_fault = faults_[chunk];
  }
  return first_fault;
}

int64_t balance::weight_before(int64_t request, int64_t tokens) const {
  return std::min(tokens, token_limit_) + request * request_weight_;
}

boundary balance::locate(int64_t weight) const {
  if (weight >= total_weight()) return {batch_, batch_, std::min(num_tokens(), token_limit_), sums_[num_chunks_]};
  int chunk = 0;
  for (int step = kMaxChunks / 2; step > 0; step /= 2) {
    const int next = chunk + step;
    if (next < num_chunks_ && weight_before(chunk_begin(next), sums_[next].tokens) <= weight) chunk = next;
  }
  return walk(chunk_begin(chunk), sums_[chunk], weight);
}

// From the first request of a chunk to the request that the weight falls into.
boundary balance::walk(int64_t request, running_sums sums, int64_t weight) const {
  request_block block;
  for (;;) {
    const int num = static_cast<int>(std::min<int64_t>(request_block::kCapacity, batch_ - request));
    block.load(source_, request, num, sums);
    for (int i = 0; i < num; ++i) {
      const int64_t behind = sums.tokens + block.q[i];
      if (weight_before(request + i + 1, behind) > weight) return place(block, i, sums.tokens, weight);
      sums.tokens = behind;
    }
    sums = block.after;
    request += num;
  }
}

// The point inside request i of the block, `tokens` being before that request. Tokens come first, the constant last.
boundary balance::place(const request_block& block, int i, int64_t tokens, int64_t weight) const {
  boundary point;
  point.request = block.first_request + i;
  point.sums.tokens = tokens;
  if (source_.needs_keys) point.sums.keys = block.key_start[i];
  if (source_.needs_kept) point.sums.kept = block.kept_start[i];
  const int64_t inside = weight - weight_before(point.request, tokens);
  point.first_owned = inside == 0 ? point.request : point.request + 1;
  point.token = std::min({tokens + inside, tokens + block.q[i], token_limit_});
  return point;
}

}  // namespace nsameta::cpu
