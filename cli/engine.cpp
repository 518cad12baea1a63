#include "cli/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

namespace nsameta::cli {
namespace {

// How likely a draft token is right, given that those before it were: 4 drafts give about 2.5 tokens a step.
constexpr double kAcceptProbability = 0.7;

// Longest row that a request can need: beyond the pool there is nothing to point at.
int64_t longest_context(const trace& requests, const engine_options& options) {
  int64_t longest = 1;
  for (const auto& r : requests.requests) {
    const int64_t need = int64_t{r.input_length} + r.output_length + options.next_n;
    if (need <= options.pool_tokens) longest = std::max(longest, need);
  }
  return (longest + options.page_size - 1) / options.page_size * options.page_size;
}

}  // namespace

engine::engine(const trace& requests, const engine_options& options)
    : trace_(requests),
      options_(options),
      pool_(static_cast<int32_t>(options.pool_tokens / options.page_size)),
      cache_(&pool_, requests.num_distinct_hashes, kPrefixBlockTokens / options.page_size, options.max_batch),
      table_(options.max_batch, longest_context(requests, options)),
      blocks_per_row_(static_cast<int32_t>(table_.max_context() / kPrefixBlockTokens)),
      random_(options.seed) {
  const auto max_batch = static_cast<size_t>(options.max_batch);
  running_.reserve(max_batch);
  shared_block_.assign(max_batch * static_cast<size_t>(blocks_per_row_), kNone);
  seq_lens_.reserve(max_batch);
  extend_seq_lens_.reserve(max_batch);
  pool_rows_.reserve(max_batch);
  for (int32_t k = 1; k < options.next_n; ++k) {
    accept_thresholds_.push_back(static_cast<uint64_t>(std::ldexp(std::pow(kAcceptProbability, k), 64)));
  }
}

int64_t engine::arrival_us(size_t request_idx) const {
  return static_cast<int64_t>(static_cast<double>(trace_.requests[request_idx].arrival_us) / options_.time_scale);
}

int32_t engine::num_pages(int64_t tokens) const {
  return static_cast<int32_t>((tokens + options_.page_size - 1) / options_.page_size);
}

int32_t engine::pages_needed(const request& r) const {
  return num_pages(int64_t{r.input_length} + r.output_length + options_.next_n);
}

size_t engine::shared_block_idx(int32_t row, int32_t block_idx) const {
  return static_cast<size_t>(row) * static_cast<size_t>(blocks_per_row_) + static_cast<size_t>(block_idx);
}

bool engine::is_shared(int32_t row, int32_t token) const {
  const int32_t block_idx = token / kPrefixBlockTokens;
  return block_idx < blocks_per_row_ && shared_block_[shared_block_idx(row, block_idx)] != kNone;
}

bool engine::step(step_sink& sink) {
  if (running_.empty()) {
    while (next_request_ < trace_.requests.size() && pages_needed(trace_.requests[next_request_]) > pool_.num_pages()) {
      ++stats_.num_rejected;
      ++next_request_;
    }
    if (next_request_ == trace_.requests.size()) return false;
    const int64_t arrival_step = (arrival_us(next_request_) + options_.step_us - 1) / options_.step_us;
    step_idx_ = std::max(step_idx_, arrival_step);
  }
  admit();
  stats_.last_batch = num_running();
  stats_.peak_pool_tokens = std::max(stats_.peak_pool_tokens, (int64_t{pool_.num_pages()} - pool_.num_free() -
                                                               cache_.num_unused_pages() + num_promised_pages_) *
                                                                  options_.page_size);
  prefill(sink);
  options_.speculative ? speculate(sink) : decode(sink);
  std::erase_if(running_, [this](const running_request& r) {
    const bool is_done = r.kv >= r.prompt && r.num_remaining == 0;
    if (is_done) retire(r);
    stats_.num_served += is_done;
    return is_done;
  });
  ++step_idx_;
  ++stats_.num_steps;
  return true;
}

void engine::admit() {
  for (; next_request_ < trace_.requests.size() && arrival_us(next_request_) <= now_us(); ++next_request_) {
    if (pages_needed(trace_.requests[next_request_]) > pool_.num_pages()) {
      ++stats_.num_rejected;
    } else if (num_running() == options_.max_batch || !try_admit(next_request_)) {
      ++stats_.num_blocked_steps;
      return;
    }
  }
}

// All pages that the request will ever need are promised to it, so that nothing has to be taken back from it later.
bool engine::try_admit(size_t request_idx) {
  const auto& r = trace_.requests[request_idx];
  const int32_t pages_per_block = kPrefixBlockTokens / options_.page_size;
  // The last prompt token is always computed: its output is the first token generated.
  const auto max_shared = std::min(static_cast<int32_t>(r.num_hashes), (r.input_length - 1) / kPrefixBlockTokens);
  int32_t num_shared = 0;
  int32_t num_unused = 0;
  for (; num_shared < max_shared; ++num_shared) {
    const int32_t block = cache_.find(trace_.hashes[r.first_hash + static_cast<uint32_t>(num_shared)]);
    if (block == kNone) break;
    num_unused += cache_.num_users(block) == 0;
  }
  const int32_t needed = pages_needed(r) - num_shared * pages_per_block;
  const int64_t available = int64_t{pool_.num_free()} + cache_.num_unused_pages() -
                            int64_t{num_unused} * pages_per_block - num_promised_pages_;
  if (needed > available) return false;

  const int32_t row = table_.take_row();
  const auto slots = table_.row(row);
  for (int32_t b = 0; b < num_shared; ++b) {
    const int32_t block = cache_.find(trace_.hashes[r.first_hash + static_cast<uint32_t>(b)]);
    cache_.use(block);
    shared_block_[shared_block_idx(row, b)] = block;
    auto slot = slots.begin() + int64_t{b} * kPrefixBlockTokens;
    for (const int32_t page : cache_.pages(block)) {
      for (int32_t i = 0; i < options_.page_size; ++i) *slot++ = page * options_.page_size + i;
    }
  }
  const int32_t num_cached = num_shared * kPrefixBlockTokens;
  table_.mark_changed(row, 0, num_cached);
  num_promised_pages_ += needed;
  running_.push_back(
      {static_cast<uint32_t>(request_idx), row, r.input_length, num_cached, num_cached, needed, r.output_length});
  stats_.prompt_tokens += r.input_length;
  stats_.prefix_hit_tokens += num_cached;
  return true;
}

// Gives slots to the positions below `num_tokens` that have none, a page at a time.
void engine::grow(running_request& r, int32_t num_tokens) {
  const auto slots = table_.row(r.row);
  const int32_t first = r.num_slots;
  while (r.num_slots < num_tokens) {
    if (pool_.num_free() == 0) cache_.evict();
    const int32_t slot = pool_.take(r.row) * options_.page_size;
    std::iota(slots.begin() + r.num_slots, slots.begin() + r.num_slots + options_.page_size, slot);
    r.num_slots += options_.page_size;
    --r.num_promised_pages;
    --num_promised_pages_;
  }
  table_.mark_changed(r.row, first, r.num_slots);
}

// Prompt blocks that were completed since `first_token` become shared, unless an equal one already is.
void engine::share_blocks(const running_request& r, int32_t first_token) {
  const auto& requested = trace_.requests[r.request_idx];
  const int32_t end = std::min(r.kv / kPrefixBlockTokens, static_cast<int32_t>(requested.num_hashes));
  const auto slots = table_.row(r.row);
  int32_t pages[kPrefixBlockTokens];
  const int32_t pages_per_block = kPrefixBlockTokens / options_.page_size;
  for (int32_t b = first_token / kPrefixBlockTokens; b < end; ++b) {
    const int32_t hash = trace_.hashes[requested.first_hash + static_cast<uint32_t>(b)];
    if (cache_.find(hash) != kNone) continue;
    for (int32_t i = 0; i < pages_per_block; ++i) {
      pages[i] = slots[static_cast<size_t>(int64_t{b} * kPrefixBlockTokens + int64_t{i} * options_.page_size)] /
                 options_.page_size;
    }
    shared_block_[shared_block_idx(r.row, b)] =
        cache_.insert(hash, std::span(pages, static_cast<size_t>(pages_per_block)), r.row);
  }
}

void engine::add_request(const running_request& r, int32_t extend_seq_len) {
  seq_lens_.push_back(r.kv);
  extend_seq_lens_.push_back(extend_seq_len);
  pool_rows_.push_back(r.row);
}

// Hands the batch that add_request put together to the sink. tokens_per_request 0: extend_seq_lens says.
void engine::hand_over(step_sink& sink, nsameta_mode mode, int32_t tokens_per_request) {
  if (!seq_lens_.empty()) {
    batch lengths{mode, seq_lens_, {}, tokens_per_request, 0, 0, pool_rows_};
    if (tokens_per_request == 0) lengths.extend_seq_lens = extend_seq_lens_;
    for (const int32_t q : extend_seq_lens_) lengths.num_tokens += q;
    lengths.max_kv = *std::max_element(seq_lens_.begin(), seq_lens_.end());
    if (mode == NSAMETA_MODE_TARGET_VERIFY) lengths.max_kv += tokens_per_request;
    sink.build(lengths);
  }
  seq_lens_.clear();
  extend_seq_lens_.clear();
  pool_rows_.clear();
}

void engine::prefill(step_sink& sink) {
  int32_t budget = options_.chunk;
  for (auto& r : running_) {
    const int32_t part = std::min(r.prompt - r.kv, budget);
    if (part <= 0) continue;
    const int32_t first_token = r.kv;
    grow(r, r.kv + part);
    r.kv += part;
    budget -= part;
    share_blocks(r, first_token);
    if (r.kv == r.prompt && r.num_remaining > 0) {
      --r.num_remaining;
      ++stats_.output_tokens;
    }
    add_request(r, part);
  }
  hand_over(sink, NSAMETA_MODE_EXTEND, 0);
}

void engine::decode(step_sink& sink) {
  for (auto& r : running_) {
    if (r.kv < r.prompt || r.num_remaining == 0) continue;
    grow(r, r.kv + 1);
    ++r.kv;
    --r.num_remaining;
    ++stats_.output_tokens;
    add_request(r, 1);
  }
  hand_over(sink, NSAMETA_MODE_DECODE, 1);
}

int32_t engine::draw_accepted() {
  const uint64_t draw = random_();
  int32_t accepted = 1;  // the target model's own token
  for (const uint64_t threshold : accept_thresholds_) accepted += draw < threshold;
  return accepted;
}

void engine::speculate(step_sink& sink) {
  for (auto& r : running_) {
    if (r.kv < r.prompt || r.num_remaining == 0) continue;
    grow(r, r.kv + options_.next_n);
    add_request(r, options_.next_n);
  }
  hand_over(sink, NSAMETA_MODE_TARGET_VERIFY, options_.next_n);
  for (auto& r : running_) {
    if (r.kv < r.prompt || r.num_remaining == 0) continue;
    const int32_t accepted = std::min(draw_accepted(), r.num_remaining);
    r.kv += accepted;
    r.num_remaining -= accepted;
    stats_.output_tokens += accepted;
    if (r.num_remaining > 0) add_request(r, accepted);
  }
  hand_over(sink, NSAMETA_MODE_DRAFT_EXTEND, 0);
}

void engine::retire(const running_request& r) {
  const auto slots = table_.row(r.row);
  for (int32_t token = 0; token < r.num_slots; token += options_.page_size) {
    if (!is_shared(r.row, token)) pool_.give_back(slots[static_cast<size_t>(token)] / options_.page_size, r.row);
  }
  // The last block first: a prefix must outlive what continues it.
  for (int32_t b = std::min(r.num_slots / kPrefixBlockTokens, blocks_per_row_) - 1; b >= 0; --b) {
    auto& block = shared_block_[shared_block_idx(r.row, b)];
    if (block != kNone) cache_.release(block);
    block = kNone;
  }
  num_promised_pages_ -= r.num_promised_pages;
  table_.give_back_row(r.row);
}

void engine::audit() const {
  std::vector<int32_t> num_private(static_cast<size_t>(pool_.num_pages()));
  int64_t total = int64_t{pool_.num_free()} + int64_t{cache_.num_blocks()} * (kPrefixBlockTokens / options_.page_size);
  for (const auto& r : running_) {
    const auto slots = table_.row(r.row);
    for (int32_t t = 0; t < r.num_slots; ++t) {
      const int32_t page = slots[static_cast<size_t>(t)] / options_.page_size;
      const bool is_private = !is_shared(r.row, t);
      const bool starts_page = t % options_.page_size == 0;
      const bool is_in_place = slots[static_cast<size_t>(t)] % options_.page_size == t % options_.page_size;
      if (!is_in_place || pool_.holder(page) != (is_private ? r.row : options_.max_batch) ||
          (starts_page && is_private && ++num_private[static_cast<size_t>(page)] > 1)) {
        throw std::logic_error(
            fmt::format("row {}, position {}: slot {} is not its own", r.row, t, slots[static_cast<size_t>(t)]));
      }
      total += starts_page && is_private;
    }
  }
  if (total != pool_.num_pages()) {
    throw std::logic_error(fmt::format("{} of {} KV pages are accounted for", total, pool_.num_pages()));
  }
}

void engine::shut_down() {
  audit();
  for (const auto& r : running_) retire(r);
  running_.clear();
  cache_.evict_all();
  if (pool_.num_free() != pool_.num_pages() || num_promised_pages_ != 0 ||
      table_.num_free_rows() != options_.max_batch) {
    throw std::logic_error(fmt::format("KV pool leaks: {} of {} pages free, {} promised, {} of {} rows free",
                                       pool_.num_free(), pool_.num_pages(), num_promised_pages_, table_.num_free_rows(),
                                       options_.max_batch));
  }
}

}  // namespace nsameta::cli
