#include "tests/support/metadata_case.h"

#include <algorithm>
#include <utility>

namespace nsameta::test {
namespace {

struct output_description {
  const char* name;
  output_kind kind;
};

constexpr output_description kOutputs[] = {
#define NSAMETA_OUTPUT(name, kind) {#name, output_kind::kind},
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
};

bool is_speculative(const reference::metadata_inputs& in) {
  return in.mode == NSAMETA_MODE_TARGET_VERIFY || in.mode == NSAMETA_MODE_DRAFT_EXTEND;
}

int64_t count_of(const std::vector<int32_t>& values) { return static_cast<int64_t>(values.size()); }
int64_t count_of(int64_t) { return 1; }
int64_t count_of(const std::vector<std::vector<int32_t>>&) { return 0; }
int64_t element_of(const std::vector<std::vector<int32_t>>&, int64_t) { return 0; }
int64_t element_of(const std::vector<int32_t>& values, int64_t idx) { return values[static_cast<size_t>(idx)]; }
int64_t element_of(int64_t value, int64_t) { return capped(value); }
}  // namespace

int32_t capped(int64_t count) { return static_cast<int32_t>(std::min<int64_t>(count, INT32_MAX)); }

const char* output_name(int output) { return kOutputs[output].name; }
output_kind kind_of(int output) { return kOutputs[output].kind; }

metadata_case& metadata_case::want(std::initializer_list<output_id> ids) {
  for (const output_id id : ids) at(id).is_wanted = true;
  return *this;
}

metadata_case& metadata_case::want_all() {
  for (int i = 0; i < kNumOutputs; ++i) {
    const auto id = static_cast<output_id>(i);
    const bool is_possible =
        pool != nullptr ? id != output_id::real_page_table || inputs.page_size > 1 : id <= output_id::total_tokens;
    if (is_possible) at(id).is_wanted = true;
  }
  return *this;
}

metadata_case& metadata_case::with_slack(int64_t slack) {
  for (int i = 0; i < kNumOutputs; ++i) {
    if (is_per_token(i)) outputs[static_cast<size_t>(i)].slack = slack;
  }
  return *this;
}

bool has_constant_query(const reference::metadata_inputs& inputs) {
  return inputs.mode == NSAMETA_MODE_DECODE || inputs.tokens_per_request > 0;
}

bool has_extend_tensor(const reference::metadata_inputs& inputs) { return !has_constant_query(inputs); }

bool metadata_case::tables_by_token() const {
  if (table_rows != NSAMETA_TABLE_ROWS_DEFAULT) return table_rows == NSAMETA_TABLE_ROWS_PER_TOKEN;
  return is_speculative(inputs);
}

metadata_case& metadata_case::with_pool(random_source& random, int64_t max_context) {
  int64_t longest = 1;
  for (size_t r = 0; r < inputs.seq_lens.size(); ++r) longest = std::max(longest, key_length(inputs, r));
  inputs.max_context = max_context >= 0 ? max_context : longest;
  inputs.pool_rows = batch() + random.in(1, 5);
  if (inputs.page_size == 1) inputs.page_size = 64;
  inputs.req_pool_indices = random_lengths(random, batch(), 0, inputs.pool_rows - 1);
  auto cells = std::make_shared<std::vector<int32_t>>(static_cast<size_t>(inputs.pool_rows * inputs.max_context));
  // Any value may stand there; engines have slots below the pool's size and sometimes -1.
  auto state = static_cast<uint64_t>(random.in(0, INT64_MAX));
  for (auto& cell : *cells) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    cell = static_cast<int32_t>(state >> 33U) - (state >> 58U == 0 ? 1'000'000'000 : 0);
  }
  pool = std::move(cells);
  inputs.req_to_token = pool->data();
  return *this;
}

metadata_case& metadata_case::with_num_requests(int64_t num_requests) {
  inputs.num_requests = num_requests;
  inputs.has_num_requests = true;
  return *this;
}

int64_t key_length(const reference::metadata_inputs& inputs, size_t request_idx) {
  const int64_t offset = inputs.mode == NSAMETA_MODE_TARGET_VERIFY ? inputs.tokens_per_request : 0;
  return inputs.seq_lens[request_idx] + offset;
}

int64_t true_batch(const reference::metadata_inputs& inputs) {
  const auto batch = static_cast<int64_t>(inputs.seq_lens.size());
  return inputs.has_num_requests ? std::clamp<int64_t>(inputs.num_requests, 0, batch) : batch;
}

reference::metadata_inputs changed(const reference::metadata_inputs& all) {
  auto inputs = all;
  const int64_t num_requests = true_batch(inputs);
  // What lies beyond the true batch may be garbage and stays there.
  const auto reverse = [&](std::vector<int64_t>* values) {
    std::reverse(values->begin(), values->begin() + std::min(num_requests, static_cast<int64_t>(values->size())));
  };
  reverse(&inputs.seq_lens);
  reverse(&inputs.extend_seq_lens);
  reverse(&inputs.req_pool_indices);
  for (auto& kv : inputs.seq_lens) ++kv;
  if (inputs.has_num_requests && num_requests > 0) inputs.num_requests = num_requests - 1;
  return inputs;
}

reference::metadata_inputs first_requests(const reference::metadata_inputs& all, int64_t batch) {
  auto part = all;
  part.seq_lens.resize(static_cast<size_t>(batch));
  if (!all.req_pool_indices.empty()) part.req_pool_indices.resize(static_cast<size_t>(batch));
  if (!all.static_width && !all.extend_seq_lens.empty()) part.extend_seq_lens.resize(static_cast<size_t>(batch));
  return part;
}

void resolve(metadata_case* c) {
  auto& in = c->inputs;
  in.clamp =
      c->clamp == NSAMETA_CLAMP_ON || (c->clamp == NSAMETA_CLAMP_DEFAULT && in.mode == NSAMETA_MODE_DRAFT_EXTEND);
  in.mqa_by_token = c->mqa_lengths == NSAMETA_MQA_LENGTHS_DEFAULT ? is_speculative(in)
                                                                  : c->mqa_lengths == NSAMETA_MQA_LENGTHS_VISIBLE;
  in.ctx_lens_columns = 0;
  for (size_t i = 0; i < c->num_sets(); ++i) {
    set_layout& set = i == 0 ? *c : c->more_sets[i - 1];
    if (has_constant_query(in)) set.ctx_lens_columns = in.mode == NSAMETA_MODE_DECODE ? 1 : in.tokens_per_request;
    in.ctx_lens_columns = std::max(in.ctx_lens_columns, set.ctx_lens_columns);
  }
  const auto make_equal = [](const input_layout& layout, std::vector<int64_t>* lengths) {
    if (layout.stride == 0 && !lengths->empty()) std::fill(lengths->begin(), lengths->end(), lengths->front());
  };
  make_equal(c->seq_lens, &in.seq_lens);
  make_equal(c->extend_seq_lens, &in.extend_seq_lens);
  make_equal(c->req_pool_indices, &in.req_pool_indices);
}

metadata_case decode_case(std::vector<int64_t> seq_lens) {
  metadata_case c;
  c.inputs.mode = NSAMETA_MODE_DECODE;
  c.inputs.seq_lens = std::move(seq_lens);
  c.inputs.topk = 2048;
  return c;
}

metadata_case verify_case(std::vector<int64_t> seq_lens, int tokens_per_request) {
  metadata_case c = decode_case(std::move(seq_lens));
  c.inputs.mode = NSAMETA_MODE_TARGET_VERIFY;
  c.inputs.tokens_per_request = tokens_per_request;
  return c;
}

metadata_case ragged_case(nsameta_mode mode, std::vector<int64_t> seq_lens, std::vector<int64_t> extend_seq_lens) {
  metadata_case c = decode_case(std::move(seq_lens));
  c.inputs.mode = mode;
  c.inputs.extend_seq_lens = std::move(extend_seq_lens);
  return c;
}

metadata_case random_ragged_case(random_source& random, nsameta_mode mode, int64_t batch, int64_t max_query) {
  auto extend = random_lengths(random, batch, 1, max_query);
  auto seq = extend;
  for (auto& kv : seq) kv += random.in(0, 5000);
  return ragged_case(mode, std::move(seq), std::move(extend));
}

std::vector<int64_t> random_lengths(random_source& random, int64_t count, int64_t low, int64_t high) {
  std::vector<int64_t> lengths(static_cast<size_t>(count));
  for (auto& length : lengths) length = random.in(low, high);
  return lengths;
}

int64_t num_values(const reference::metadata& m, int output) {
  switch (static_cast<output_id>(output)) {
#define NSAMETA_OUTPUT(name, kind) \
  case output_id::name: return count_of(m.name);
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  }
  return 0;
}

int64_t value_at(const reference::metadata& m, int output, int64_t idx) {
  switch (static_cast<output_id>(output)) {
#define NSAMETA_OUTPUT(name, kind) \
  case output_id::name: return element_of(m.name, idx);
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  }
  return 0;
}

}  // namespace nsameta::test
