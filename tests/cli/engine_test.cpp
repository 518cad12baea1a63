#include "cli/engine.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>
#include <stdexcept>
#include <vector>

#include "tests/support/random.h"

namespace nsameta::cli {
namespace {

struct recorded_batch {
  nsameta_mode mode;
  std::vector<int32_t> seq_lens;
  std::vector<int32_t> extend_seq_lens;
  int64_t num_tokens;
  int64_t max_kv;
  std::vector<int32_t> pool_rows;
};

class recorder final : public step_sink {
 public:
  void build(const batch& lengths) override {
    batches.push_back({lengths.mode,
                       {lengths.seq_lens.begin(), lengths.seq_lens.end()},
                       {lengths.extend_seq_lens.begin(), lengths.extend_seq_lens.end()},
                       lengths.num_tokens,
                       lengths.max_kv,
                       {lengths.pool_rows.begin(), lengths.pool_rows.end()}});
  }
  std::vector<recorded_batch> of(nsameta_mode mode) const {
    std::vector<recorded_batch> found;
    for (const auto& b : batches) {
      if (b.mode == mode) found.push_back(b);
    }
    return found;
  }
  std::vector<recorded_batch> batches;
};

// hashes: dense ids, as many as the prompt has blocks.
void add_request(trace* t, int64_t arrival_us, int32_t input, int32_t output, const std::vector<int32_t>& hashes = {}) {
  t->requests.push_back(
      {arrival_us, input, output, static_cast<uint32_t>(t->hashes.size()), static_cast<uint32_t>(hashes.size())});
  for (const int32_t hash : hashes) {
    t->hashes.push_back(hash);
    t->num_distinct_hashes = std::max(t->num_distinct_hashes, hash + 1);
  }
}

void run(engine* e, recorder* into, bool audits = true) {
  while (e->step(*into)) {
    if (audits) e->audit();
  }
  e->shut_down();
}

TEST(engine, computes_a_prompt_in_chunks_and_decodes_token_by_token) {
  trace t;
  add_request(&t, 0, 100, 4);
  engine_options options;
  options.chunk = 60;
  options.speculative = false;
  engine e(t, options);
  recorder seen;
  run(&e, &seen);
  const auto extend = seen.of(NSAMETA_MODE_EXTEND);
  ASSERT_EQ(extend.size(), 2U);
  EXPECT_EQ(extend[0].seq_lens, std::vector<int32_t>{60});
  EXPECT_EQ(extend[0].extend_seq_lens, std::vector<int32_t>{60});
  EXPECT_EQ(extend[1].seq_lens, std::vector<int32_t>{100});
  EXPECT_EQ(extend[1].extend_seq_lens, std::vector<int32_t>{40});
  EXPECT_EQ(extend[1].num_tokens, 40);
  // The prompt's last position gives the first token; three more follow.
  const auto decode = seen.of(NSAMETA_MODE_DECODE);
  ASSERT_EQ(decode.size(), 3U);
  for (int32_t i = 0; i < 3; ++i) {
    const auto& b = decode[static_cast<size_t>(i)];
    EXPECT_EQ(b.seq_lens, std::vector<int32_t>{101 + i});
    EXPECT_TRUE(b.extend_seq_lens.empty());
    EXPECT_EQ(b.max_kv, 101 + i);
  }
  EXPECT_EQ(e.stats().output_tokens, 4);
  EXPECT_EQ(e.stats().num_steps, 4);
}

TEST(engine, extends_the_draft_by_what_was_accepted) {
  trace t;
  add_request(&t, 0, 10, 500);
  engine_options options;
  options.next_n = 5;
  options.seed = test::seed();
  engine e(t, options);
  recorder seen;
  run(&e, &seen);
  int32_t kv = 10;
  std::vector<int> num_accepted(6);
  for (size_t i = 1; i + 1 < seen.batches.size(); i += 2) {
    const auto& verify = seen.batches[i];
    const auto& draft = seen.batches[i + 1];
    ASSERT_EQ(verify.mode, NSAMETA_MODE_TARGET_VERIFY);
    ASSERT_EQ(draft.mode, NSAMETA_MODE_DRAFT_EXTEND);
    ASSERT_EQ(verify.seq_lens, std::vector<int32_t>{kv});
    ASSERT_EQ(verify.num_tokens, 5);
    ASSERT_EQ(verify.max_kv, kv + 5);
    const int32_t accepted = draft.extend_seq_lens.at(0);
    ASSERT_GE(accepted, 1);
    ASSERT_LE(accepted, 5);
    ++num_accepted[static_cast<size_t>(accepted)];
    kv += accepted;
    ASSERT_EQ(draft.seq_lens, std::vector<int32_t>{kv});
  }
  EXPECT_GT(num_accepted[1], 0);
  EXPECT_GT(num_accepted[5], 0);
  EXPECT_EQ(e.stats().output_tokens, 500);
}

TEST(engine, waits_for_arrivals_without_empty_steps) {
  trace t;
  add_request(&t, 0, 10, 1);
  add_request(&t, 3'600'000'000, 10, 1);
  engine_options options;
  options.time_scale = 2;
  engine e(t, options);
  recorder seen;
  run(&e, &seen);
  EXPECT_EQ(e.stats().num_steps, 2);
  EXPECT_EQ(e.now_us(), 1'800'000'000 + options.step_us);
}

TEST(engine, shares_equal_prefixes) {
  trace t;
  add_request(&t, 0, 1536, 1, {0, 1, 2});
  add_request(&t, 60'000, 1536, 1, {0, 1, 2});      // all but the last block, since one token is computed
  add_request(&t, 120'000, 1537, 1, {0, 1, 2, 3});  // all three
  add_request(&t, 180'000, 2000, 1, {0, 4, 2, 5});  // the first only: an equal id after a gap is no prefix
  engine_options options;
  engine e(t, options);
  recorder seen;
  run(&e, &seen);
  const auto extend = seen.of(NSAMETA_MODE_EXTEND);
  ASSERT_EQ(extend.size(), 4U);
  EXPECT_EQ(extend[0].extend_seq_lens, std::vector<int32_t>{1536});
  EXPECT_EQ(extend[1].extend_seq_lens, std::vector<int32_t>{512});
  EXPECT_EQ(extend[1].seq_lens, std::vector<int32_t>{1536});
  EXPECT_EQ(extend[2].extend_seq_lens, std::vector<int32_t>{1});
  EXPECT_EQ(extend[3].extend_seq_lens, std::vector<int32_t>{2000 - 512});
  EXPECT_EQ(e.stats().prefix_hit_tokens, 1024 + 1536 + 512);
}

TEST(engine, forgets_prefixes_when_the_pool_is_full) {
  trace t;
  add_request(&t, 0, 1024, 1, {0, 1});
  add_request(&t, 60'000, 3000, 1);
  add_request(&t, 120'000, 1024, 1, {0, 1});
  engine_options options;
  options.pool_tokens = 3072;
  engine e(t, options);
  recorder seen;
  run(&e, &seen);
  EXPECT_EQ(e.stats().prefix_hit_tokens, 0);
  EXPECT_EQ(e.stats().num_served, 3);
}

TEST(engine, lets_requests_wait_for_rows_and_slots) {
  trace t;
  for (int i = 0; i < 6; ++i) add_request(&t, 0, 1000, 50);
  for (const bool is_short_of_rows : {true, false}) {
    engine_options options;
    (is_short_of_rows ? options.max_batch : options.page_size) = 2;
    if (!is_short_of_rows) options.pool_tokens = 2200;  // two requests of 1,054 tokens
    engine e(t, options);
    recorder seen;
    run(&e, &seen);
    EXPECT_EQ(e.stats().num_served, 6);
    EXPECT_GT(e.stats().num_blocked_steps, 0);
    size_t largest = 0;
    for (const auto& b : seen.batches) largest = std::max(largest, b.seq_lens.size());
    EXPECT_EQ(largest, 2U);
  }
}

TEST(engine, refuses_what_the_pool_can_never_hold) {
  trace t;
  add_request(&t, 0, 5000, 10);
  add_request(&t, 0, 50, 10);
  add_request(&t, 0, 5000, 10);
  engine_options options;
  options.pool_tokens = 1024;
  engine e(t, options);
  recorder seen;
  run(&e, &seen);
  EXPECT_EQ(e.stats().num_rejected, 2);
  EXPECT_EQ(e.stats().num_served, 1);
}

trace random_trace(test::random_source* random) {
  trace t;
  int64_t now_us = 0;
  for (int i = 0; i < 60; ++i) {
    now_us += random->in(0, 200'000);
    const auto input = static_cast<int32_t>(random->in(1, 6000));
    std::vector<int32_t> hashes;
    // Two families of prompts, equal up to a random block, as hash chains are.
    const auto family = static_cast<int32_t>(random->in(0, 1));
    const int64_t num_equal = random->in(0, 12);
    for (int32_t b = 0; b * kPrefixBlockTokens < input; ++b) {
      hashes.push_back(b < num_equal ? family * 20 + b : 40 + i * 12 + b);
    }
    add_request(&t, now_us, input, static_cast<int32_t>(random->in(0, 40)), hashes);
  }
  return t;
}

// Whatever the options, each page has one owner after every step, every token is computed once, and nothing leaks.
TEST(engine, keeps_its_invariants_on_random_traces) {
  test::random_source random(1);
  for (int round = 0; round < 30; ++round) {
    SCOPED_TRACE(round);
    const trace t = random_trace(&random);
    engine_options options;
    options.page_size = random.pick({1, 4, 64, 512});
    options.max_batch = static_cast<int32_t>(random.in(1, 8));
    options.next_n = static_cast<int32_t>(random.in(1, 6));
    options.chunk = static_cast<int32_t>(random.in(1, 4096));
    options.pool_tokens = random.in(7168, 20'000);
    options.speculative = random.chance(70);
    options.seed = static_cast<uint64_t>(random.in(0, 1 << 20));
    engine e(t, options);
    recorder seen;
    run(&e, &seen);
    int64_t prompt_tokens = 0;
    int64_t output_tokens = 0;
    for (const auto& r : t.requests) {
      prompt_tokens += r.input_length;
      output_tokens += r.output_length;
    }
    int64_t computed = 0;
    for (const auto& b : seen.of(NSAMETA_MODE_EXTEND)) {
      EXPECT_LE(b.num_tokens, options.chunk);
      EXPECT_EQ(b.num_tokens, std::accumulate(b.extend_seq_lens.begin(), b.extend_seq_lens.end(), int64_t{0}));
      computed += b.num_tokens;
    }
    EXPECT_EQ(e.stats().num_served, 60);
    EXPECT_EQ(e.stats().prompt_tokens, prompt_tokens);
    EXPECT_EQ(computed, prompt_tokens - e.stats().prefix_hit_tokens);
    EXPECT_EQ(e.stats().output_tokens, output_tokens);
    for (const auto& b : seen.batches) EXPECT_LE(b.seq_lens.size(), static_cast<size_t>(options.max_batch));
  }
}

// Who follows the changes has the table, and each key of a request has a slot of its own there.
TEST(engine, says_what_it_changes_in_the_table) {
  trace t;
  for (int32_t i = 0; i < 30; ++i) add_request(&t, int64_t{i} * 40'000, 700 + 61 * i, 5 + i, {i / 2});
  engine_options options;
  options.max_batch = 4;
  options.page_size = 16;
  engine e(t, options);
  auto& table = e.table();
  const auto context = static_cast<size_t>(table.max_context());
  std::vector<int32_t> copy(context * 4);
  recorder seen;
  while (e.step(seen)) {
    table.take_changes([&](int32_t row, int32_t first, int32_t end) {
      const auto from = table.row(row).begin();
      std::copy(from + first, from + end, copy.begin() + row * table.max_context() + first);
    });
    for (int32_t row = 0; row < 4; ++row) {
      const auto cells = table.row(row);
      ASSERT_TRUE(std::equal(cells.begin(), cells.end(), copy.begin() + row * table.max_context()));
    }
    const auto& last = seen.batches.back();
    ASSERT_EQ(last.pool_rows.size(), last.seq_lens.size());
    EXPECT_EQ(std::set<int32_t>(last.pool_rows.begin(), last.pool_rows.end()).size(), last.pool_rows.size());
  }
}

TEST(engine, can_be_stopped_in_the_middle) {
  test::random_source random(2);
  const trace t = random_trace(&random);
  engine e(t, engine_options{});
  recorder seen;
  // Which step leaves something running, the trace decides: an engine is idle between two short requests.
  for (int i = 0; i < 20 || e.num_running() == 0; ++i) ASSERT_TRUE(e.step(seen));
  e.shut_down();  // throws when a page is lost
}

TEST(engine, repeats_itself_for_a_seed) {
  test::random_source random(3);
  const trace t = random_trace(&random);
  const auto lengths = [&](uint64_t seed) {
    engine_options options;
    options.seed = seed;
    engine e(t, options);
    recorder seen;
    run(&e, &seen, false);
    std::vector<int32_t> all;
    for (const auto& b : seen.batches) all.insert(all.end(), b.seq_lens.begin(), b.seq_lens.end());
    return all;
  };
  EXPECT_EQ(lengths(5), lengths(5));
  EXPECT_NE(lengths(5), lengths(6));
}

}  // namespace
}  // namespace nsameta::cli
