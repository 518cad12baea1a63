// A model of a serving engine with continuous batching: which requests run in which step, and with what lengths.
//
// A step lasts step_us of simulated time: requests that have arrived are admitted in order while there is a row and
// room in the KV pool; prompts are computed in chunks, the part that the prefix cache holds left out; then every
// request whose prompt is done generates, by one token (decode) or speculatively (verify next_n draft tokens, accept
// some, extend the draft model by those). Nothing is computed and nothing read or printed: the lengths go to a sink.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "cli/kv_pool.h"
#include "cli/req_to_token.h"
#include "cli/trace.h"
#include "nsameta/nsameta.h"

namespace nsameta::cli {

struct engine_options {
  int32_t max_batch = 256;
  int32_t next_n = 4;
  int64_t step_us = 30'000;
  double time_scale = 1;   // arrivals come this many times faster than in the trace
  int32_t page_size = 64;  // divides kPrefixBlockTokens
  int64_t pool_tokens = int64_t{4} << 20;
  int32_t chunk = 8192;     // new prompt tokens of a step, over all requests
  bool speculative = true;  // false: one token a step
  uint64_t seed = 0;
};

// The lengths of one metadata build. Valid during the call that hands it over.
struct batch {
  nsameta_mode mode;
  std::span<const int32_t> seq_lens;
  std::span<const int32_t> extend_seq_lens;  // empty where the query width is constant
  int32_t tokens_per_request;                // 0 where it is not
  int64_t num_tokens;
  int64_t max_kv;
  std::span<const int32_t> pool_rows = {};  // of the requests in the engine's req_to_token
};

class step_sink {
 public:
  virtual ~step_sink() = default;
  virtual void build(const batch& lengths) = 0;
};

struct engine_stats {
  int64_t num_steps = 0;
  int64_t last_batch = 0;  // requests that ran in the last step
  int64_t num_served = 0;
  int64_t num_rejected = 0;  // longer than the whole pool
  int64_t prompt_tokens = 0;
  int64_t prefix_hit_tokens = 0;  // of prompt_tokens, found in the prefix cache
  int64_t output_tokens = 0;
  int64_t peak_pool_tokens = 0;   // promised to requests, the unused part of the prefix cache not counted
  int64_t num_blocked_steps = 0;  // steps in which an arrived request waited for a row or for KV slots
};

class engine {
 public:
  // `requests` outlives the engine.
  engine(const trace& requests, const engine_options& options);

  // Runs the next step that has work. False when every request is served.
  bool step(step_sink& sink);

  const engine_stats& stats() const { return stats_; }
  int64_t now_us() const { return step_idx_ * options_.step_us; }
  int32_t num_running() const { return static_cast<int32_t>(running_.size()); }
  int64_t max_context() const { return table_.max_context(); }
  req_to_token& table() { return table_; }

  // Throws std::logic_error unless each KV page is in exactly one place: free, in the prefix cache, or in one row.
  void audit() const;
  // Ends every request, empties the prefix cache, and throws std::logic_error unless the pool is whole again.
  void shut_down();

 private:
  struct running_request {
    uint32_t request_idx;
    int32_t row;
    int32_t prompt;
    int32_t kv;                  // tokens computed so far
    int32_t num_slots;           // positions of the row that have a slot: whole pages, at least kv
    int32_t num_promised_pages;  // still to be taken
    int32_t num_remaining;       // output tokens to come
  };

  int64_t arrival_us(size_t request_idx) const;
  int32_t num_pages(int64_t tokens) const;
  int32_t pages_needed(const request& r) const;
  void admit();
  bool try_admit(size_t request_idx);
  void grow(running_request& r, int32_t num_tokens);
  void share_blocks(const running_request& r, int32_t first_token);
  void prefill(step_sink& sink);
  void decode(step_sink& sink);
  void speculate(step_sink& sink);
  int32_t draw_accepted();
  void retire(const running_request& r);
  size_t shared_block_idx(int32_t row, int32_t block_idx) const;
  bool is_shared(int32_t row, int32_t token) const;
  void add_request(const running_request& r, int32_t extend_seq_len);
  void hand_over(step_sink& sink, nsameta_mode mode, int32_t tokens_per_request);

  const trace& trace_;
  engine_options options_;
  engine_stats stats_;
  page_pool pool_;
  prefix_cache cache_;
  req_to_token table_;
  std::vector<running_request> running_;  // in the order of admission
  int32_t blocks_per_row_;
  std::vector<int32_t> shared_block_;  // [row, block of the prompt]: block of the prefix cache, or kNone
  int64_t num_promised_pages_ = 0;
  size_t next_request_ = 0;
  int64_t step_idx_ = 0;
  std::mt19937_64 random_;
  std::vector<uint64_t> accept_thresholds_;  // [next_n - 1]: a draw below the k-th accepts at least k drafts
  std::vector<int32_t> seq_lens_;            // of the batch that is put together
  std::vector<int32_t> extend_seq_lens_;
  std::vector<int32_t> pool_rows_;
};

}  // namespace nsameta::cli
