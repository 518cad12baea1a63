#include "tests/support/random_case.h"

#include <algorithm>

#include "tests/support/random_pool.h"

namespace nsameta::test {
namespace {

int64_t draw_length(random_source& random) {
  const int64_t kind = random.in(0, 99);
  if (kind < 70) return random.in(0, 6000);
  if (kind < 90) return random.in(0, 12);
  if (kind < 97) return random.in(0, 1'000'000);
  if (kind < 99) return random.in(INT32_MAX - 100, INT32_MAX);
  return random.in(-5, -1);
}

int64_t draw_query(random_source& random, int max_query) {
  const int64_t kind = random.in(0, 99);
  if (kind < 20) return 0;
  if (kind < 97) return random.in(1, max_query);
  return kind < 99 ? random.in(1, 3000) : -1;
}

input_layout draw_layout(random_source& random) {
  return {random.pick({NSAMETA_INT32, NSAMETA_INT64}), random.pick<int64_t>({1, 1, 2, 3, -1, 0}), random.in(0, 3)};
}

// Where kernels change their ways, counters wrap and types end.
int64_t draw_edge(random_source& random) {
  const int64_t power = int64_t{1} << random.in(0, 31);
  const auto wide = static_cast<int64_t>(static_cast<uint64_t>(random.in(INT32_MIN, INT32_MAX)) << 32U);
  return random.pick<int64_t>({0, -1, INT32_MIN, INT32_MIN + 1, INT32_MAX, INT32_MAX - 1, power, power - 1, power + 1,
                               -power, 3 * power, wide + random.in(-2, 200)});
}

// Few or all of the lengths; a stride, a mode or a type may still make them equal, long or short.
void make_hostile(random_source& random, std::vector<int64_t>* lengths) {
  const int percent = random.pick({1, 10, 50, 100});
  const bool are_equal = random.chance(20);
  const int64_t common = draw_edge(random);
  for (auto& length : *lengths) {
    if (random.chance(percent)) length = are_equal ? common : draw_edge(random);
  }
}

int64_t draw_batch(random_source& random, const case_limits& limits) {
  if (random.chance(75)) return random.in(0, limits.usual_batch);
  if (!random.chance(limits.percent_hostile)) {
    return random.in(0, random.chance(90) ? random.pick<int64_t>({200, 600}) : limits.large_batch);
  }
  const int64_t edge = (int64_t{1} << random.in(4, 10)) + random.in(-1, 1);
  return std::min(edge, limits.large_batch);
}

void draw_inputs(random_source& random, const case_limits& limits, metadata_case* c) {
  auto& in = c->inputs;
  in.mode = static_cast<int>(random.in(NSAMETA_MODE_DECODE, NSAMETA_MODE_EXTEND));
  const int64_t batch = draw_batch(random, limits);
  in.seq_lens.resize(static_cast<size_t>(batch));
  for (auto& length : in.seq_lens) length = draw_length(random);
  if (random.chance(limits.percent_hostile)) make_hostile(random, &in.seq_lens);
  in.topk =
      static_cast<int>(random.chance(80) ? random.pick({1, 7, 64, 128, 512, 2048, INT32_MAX}) : random.in(1, 10'000));
  in.kpool = random.chance(60) ? 1 : static_cast<int>(random.pick<int64_t>({2, 4, 64, random.in(1, 300)}));
  if (in.mode == NSAMETA_MODE_DECODE) return;
  if (in.mode == NSAMETA_MODE_TARGET_VERIFY || random.chance(20)) {
    in.tokens_per_request = static_cast<int>(random.in(1, 8));
    return;
  }
  in.static_width = random.chance(20);
  const int max_query = random.pick({1, 2, 5, 8, 40});
  in.extend_seq_lens.resize(in.static_width && random.chance(50) ? 1 : static_cast<size_t>(batch));
  for (auto& length : in.extend_seq_lens) length = draw_query(random, max_query);
  if (in.static_width && !in.extend_seq_lens.empty()) in.extend_seq_lens[0] = random.in(-1, 12);
  if (random.chance(limits.percent_hostile / 2)) make_hostile(random, &in.extend_seq_lens);
}

void draw_num_requests(random_source& random, metadata_case* c) {
  auto& in = c->inputs;
  const int64_t batch = c->batch();
  c->with_num_requests(
      random.pick<int64_t>({batch, batch, random.in(0, batch), random.in(0, batch), random.in(0, batch), 0,
                            batch + random.in(1, 9), -1, -random.in(2, 9), INT32_MIN}));
  // Nobody looks at what lies beyond the true batch.
  const auto garbage = [&] { return random.pick<int64_t>({INT32_MIN, -1, INT32_MAX, random.in(0, 5000)}); };
  for (auto* lengths : {&in.seq_lens, &in.extend_seq_lens, &in.req_pool_indices}) {
    for (size_t r = static_cast<size_t>(true_batch(in)); r < lengths->size(); ++r) (*lengths)[r] = garbage();
  }
}

void draw_options(random_source& random, metadata_case* c) {
  c->clamp = random.pick({NSAMETA_CLAMP_DEFAULT, NSAMETA_CLAMP_OFF, NSAMETA_CLAMP_ON});
  c->tail = static_cast<nsameta_tail>(random.in(NSAMETA_TAIL_KEEP, NSAMETA_TAIL_MINUS_ONE));
  c->num_tokens_bound = random.chance(70) ? -1 : random.in(0, 4000);
  c->max_kv_bound = random.chance(70) ? -1 : random.in(0, 4000);
  c->spare_requests = random.chance(70) ? 0 : random.in(1, 40);
  c->is_programmatic = random.chance(50);
  c->seq_lens = draw_layout(random);
  c->extend_seq_lens = draw_layout(random);
  // Of a stride of 0 the first length is everyone's: thousands of long queries in up to 8 sets would fill the memory.
  auto& extend = c->inputs.extend_seq_lens;
  if (c->extend_seq_lens.stride == 0 && !extend.empty()) extend[0] = std::min<int64_t>(extend[0], 40);
}

// Outputs cannot have room for billions of tokens, and the oracle lists all lengths of a schedule by token.
void limit_tokens(random_source& random, const case_limits& limits, const metadata_case& c, set_layout* set) {
  if (has_constant_query(c.inputs)) return;  // the host refuses outputs that are too small
  auto inputs = c.inputs;
  inputs.max_tokens = 0;
  const int64_t num_tokens = reference::build_metadata(inputs).total_tokens;
  const auto end = inputs.extend_seq_lens.begin() +
                   std::min(true_batch(inputs), static_cast<int64_t>(inputs.extend_seq_lens.size()));
  // Other orders of the lengths may make one of them the width of all.
  const bool has_wide = std::any_of(inputs.extend_seq_lens.begin(), end,
                                    [&](int64_t q) { return static_cast<int32_t>(q) > limits.num_tokens; });
  if (inputs.mqa_by_token && has_wide) set->at(output_id::paged_mqa_schedule).is_wanted = false;
  if (num_tokens <= limits.num_tokens) return;
  for (int i = 0; i < kNumOutputs; ++i) {
    const bool is_table_by_token = kind_of(i) == output_kind::TABLE && c.tables_by_token();
    if (!is_per_token(i) && !is_table_by_token) continue;
    set->outputs[static_cast<size_t>(i)].slack = random.in(0, limits.num_tokens) - num_tokens;
  }
}

void draw_outputs(random_source& random, const case_limits& limits, const metadata_case& c, set_layout* set) {
  const int percent = random.pick({10, 50, 100});
  const int64_t slack = random.pick<int64_t>({0, 0, 1, 40, random.in(0, 5000)});
  const bool may_be_small = !has_constant_query(c.inputs) && random.chance(15);
  for (int i = 0; i <= static_cast<int>(output_id::total_tokens); ++i) {
    auto& output = set->outputs[static_cast<size_t>(i)];
    output = {random.chance(percent), random.chance(50) ? slack : random.in(0, 9), random.in(0, 3)};
    if (may_be_small && kind_of(i) == output_kind::TOKEN) output.slack = -random.in(0, 60);
  }
  set->positions_dtype = random.pick({NSAMETA_INT32, NSAMETA_INT64});
  set->ctx_lens_columns = static_cast<int>(random.in(1, 9));
  set->ctx_lens_row_slack = random.in(0, 3);
  if (c.pool != nullptr) draw_slot_outputs(random, limits, c, percent, may_be_small, set);
  limit_tokens(random, limits, c, set);
}

int64_t to_multiple_of_4(int64_t columns) { return (4 - columns % 4) % 4; }

// Inputs of a step as an engine replays it: one query width, none of the rarer contracts, tables in plain rows.
// Backends treat such steps apart, and what is drawn at random would hardly ever be one.
void become_replay(random_source& random, metadata_case* c) {
  auto& in = c->inputs;
  in.mqa_next_n = 1;
  c->tail = NSAMETA_TAIL_KEEP;
  c->seq_lens.stride = random.pick({1, 1, 2, 0});
  c->req_pool_indices.stride = random.pick({1, 1, 3, 0});
  c->req_to_token = {.padding = to_multiple_of_4(in.max_context) + 4 * random.in(0, 2)};
  c->pool_offset_elements = 0;
  if (random.chance(30)) in.tokens_per_request = in.mode == NSAMETA_MODE_DECODE ? 0 : 4;
}

void become_replay_outputs(random_source& random, set_layout* set) {
  for (const auto id : {output_id::cu_seqlens_q, output_id::topk_indices_offset, output_id::token_to_batch_idx,
                        output_id::positions, output_id::indexer_ks, output_id::indexer_ke, output_id::total_tokens,
                        output_id::out_slots, output_id::page_table_1_flattened}) {
    set->at(id).is_wanted = false;
  }
  set->at(output_id::page_table_1).offset_elements = 0;
  auto& table = set->page_table_1;
  table.memory = {.padding = to_multiple_of_4(table.num_columns) + 4 * random.in(0, 2)};
  set->real_page_table.memory = {.padding = random.in(0, 5)};
}

constexpr int64_t kLongContext = 10'000;

// A replay with so many columns, and a bound on them, that a copy engine takes its rows.
void become_long(random_source& random, metadata_case* c) {
  auto& in = c->inputs;
  in.seq_lens.resize(static_cast<size_t>(random.in(8, 12)));
  for (auto& length : in.seq_lens) length = random.chance(70) ? random.in(0, kLongContext) : random.in(0, 300);
  const int page_size = in.page_size;
  c->with_pool(random, kLongContext + random.in(-4, 4));
  in.page_size = page_size;
  if (in.mode == NSAMETA_MODE_TARGET_VERIFY) {
    in.tokens_per_request = random.chance(60) ? 4 : std::min(in.tokens_per_request, 4);
  }
  c->req_to_token.padding = to_multiple_of_4(in.max_context);
  c->max_kv_bound = kLongContext;
}

void become_long_outputs(random_source& random, metadata_case* c) {
  auto& table = c->page_table_1;
  c->want({output_id::page_table_1});
  table.num_columns = c->inputs.max_context - random.pick<int64_t>({0, 0, random.in(0, 1500)});
  table.memory.padding = to_multiple_of_4(table.num_columns);
  auto& pages = c->real_page_table.num_columns;
  pages = std::min(pages, (table.num_columns + c->inputs.page_size - 1) / c->inputs.page_size);
}

// The two outputs of the seed op and no other, which GPU backends treat apart, too.
void become_seed_outputs(metadata_case* c) {
  c->tail = NSAMETA_TAIL_KEEP;
  for (auto& output : c->outputs) output.is_wanted = false;
  c->want({output_id::seqlens_expanded, output_id::nsa_cache_seqlens});
}

// Lengths alone, another thing that GPU backends treat apart, by batch.
void become_lengths(random_source& random, const case_limits& limits, metadata_case* c) {
  auto& in = c->inputs;
  if (in.seq_lens.empty()) return;
  const auto batch = static_cast<size_t>(random.pick<int64_t>(
      {c->batch(), random.in(1, 300), std::min<int64_t>(random.in(257, 1500), limits.large_batch)}));
  while (in.seq_lens.size() < batch) in.seq_lens.push_back(draw_length(random));
  while (!in.extend_seq_lens.empty() && !in.static_width && in.extend_seq_lens.size() < batch) {
    in.extend_seq_lens.push_back(draw_query(random, 8));
  }
}

void become_lengths_outputs(set_layout* set) {
  set->at(output_id::paged_mqa_schedule).is_wanted = false;
  set->at(output_id::topk_plan).is_wanted = false;
}

void without_keys(set_layout* set) {
  for (const auto id : {output_id::cu_seqlens_k, output_id::nsa_cu_seqlens_k, output_id::topk_indices_offset,
                        output_id::indexer_ks, output_id::indexer_ke}) {
    set->at(id).is_wanted = false;
  }
}

}  // namespace

metadata_case draw_case(random_source& random, const case_limits& limits) {
  metadata_case c;
  draw_inputs(random, limits, &c);
  draw_options(random, &c);
  if (random.chance(60)) draw_pool(random, limits, &c);
  const bool is_replay = c.pool != nullptr && has_constant_query(c.inputs) && random.chance(50);
  const bool is_seed = c.pool == nullptr && random.chance(30);
  const bool is_long = is_replay && random.chance(10);
  const bool is_lengths = c.pool == nullptr && !is_seed && random.chance(40);
  const bool has_keys = random.chance(75);
  if (is_replay) {
    become_replay(random, &c);
    if (is_long) become_long(random, &c);
  } else if (is_lengths || is_seed) {
    become_lengths(random, limits, &c);
  } else {
    if (random.chance(35)) draw_num_requests(random, &c);
    if (random.chance(25)) {
      c.more_sets.resize(static_cast<size_t>(random.chance(70) ? random.in(1, 2) : random.in(1, 7)));
    }
  }
  resolve(&c);
  draw_outputs(random, limits, c, &c);
  for (auto& set : c.more_sets) draw_outputs(random, limits, c, &set);
  if (is_replay) become_replay_outputs(random, &c);
  if (is_long) become_long_outputs(random, &c);
  if (is_lengths) become_lengths_outputs(&c);
  if (!has_keys) without_keys(&c);
  if (is_seed) {
    become_seed_outputs(&c);
    return c;
  }
  // At least one that every execution has to write.
  c.want({is_replay ? output_id::cache_seqlens : output_id::cu_seqlens_q});
  return c;
}

}  // namespace nsameta::test
