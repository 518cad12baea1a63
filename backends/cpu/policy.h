// How the CPU backend chooses between its paths. No choice changes a result.
#pragma once

#include <cstdint>
#include <string>

namespace nsameta::cpu {

struct policy {
  int64_t min_parallel_bytes;  // one thread below this many bytes of output; tables count what they read, too
  int64_t min_bytes_per_range;
  int32_t num_ranges_per_thread;
  int32_t request_weight_tokens;   // what a request costs beside its tokens, for the balance of ranges
  int64_t min_stream_bytes;        // outputs that together reach this bypass the cache; tables likewise
  int64_t stream_bytes_of_thread;  // and so do outputs per token that reach this for each thread
  int32_t min_requests_per_chunk;  // chunks are what the sums of the first step are taken over
  int64_t min_all_nodes_bytes;     // less stays on one node where the memory has several
};

policy default_policy();

// Whether outputs per token of so many bytes bypass the cache, with the threads of the caller's arena.
bool streams_tokens(const policy& policy, int64_t bytes);

std::string to_string(const policy& policy);

}  // namespace nsameta::cpu
