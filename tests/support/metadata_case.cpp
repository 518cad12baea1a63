#include "tests/support/metadata_case.h"

#include <algorithm>
#include <ostream>
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

int64_t count_of(const std::vector<int32_t>& values) { return static_cast<int64_t>(values.size()); }
int64_t count_of(int64_t) { return 1; }
int64_t element_of(const std::vector<int32_t>& values, int64_t idx) { return values[static_cast<size_t>(idx)]; }
int64_t element_of(int64_t value, int64_t) { return capped(value); }

void print(std::ostream& out, const char* name, const std::vector<int64_t>& lengths, const input_layout& layout) {
  constexpr size_t kShown = 8;
  out << "\n  " << name << " [" << lengths.size() << "] " << (layout.dtype == NSAMETA_INT64 ? "int64" : "int32")
      << " stride " << layout.stride << " offset " << layout.offset_elements << ":";
  for (size_t i = 0; i < std::min(kShown, lengths.size()); ++i) out << " " << lengths[i];
  if (lengths.size() > kShown) out << " ...";
}

}  // namespace

int32_t capped(int64_t num_tokens) { return static_cast<int32_t>(std::min<int64_t>(num_tokens, INT32_MAX)); }

const char* output_name(int output) { return kOutputs[output].name; }
output_kind kind_of(int output) { return kOutputs[output].kind; }

metadata_case& metadata_case::want(std::initializer_list<output_id> ids) {
  for (const output_id id : ids) at(id).is_wanted = true;
  return *this;
}

metadata_case& metadata_case::want_all() {
  for (auto& output : outputs) output.is_wanted = true;
  return *this;
}

metadata_case& metadata_case::with_slack(int64_t slack) {
  for (int i = 0; i < kNumOutputs; ++i) {
    if (is_per_token(i)) outputs[static_cast<size_t>(i)].slack = slack;
  }
  return *this;
}

std::ostream& operator<<(std::ostream& out, const metadata_case& c) {
  const auto& in = c.inputs;
  out << "mode " << in.mode << " batch " << in.seq_lens.size() << " n " << in.tokens_per_request << " static_width "
      << in.static_width << " topk " << in.topk << " kpool " << in.kpool << " clamp " << c.clamp << " tail " << c.tail
      << " num_tokens_bound " << c.num_tokens_bound << " spare_requests " << c.spare_requests;
  print(out, "seq_lens", in.seq_lens, c.seq_lens);
  if (has_extend_tensor(in)) print(out, "extend_seq_lens", in.extend_seq_lens, c.extend_seq_lens);
  for (int i = 0; i < kNumOutputs; ++i) {
    const auto& o = c.outputs[static_cast<size_t>(i)];
    if (o.is_wanted) out << "\n  " << output_name(i) << " slack " << o.slack << " offset " << o.offset_elements;
  }
  return out;
}

bool has_constant_query(const reference::metadata_inputs& inputs) {
  return inputs.mode == NSAMETA_MODE_DECODE || inputs.tokens_per_request > 0;
}

bool has_extend_tensor(const reference::metadata_inputs& inputs) { return !has_constant_query(inputs); }

void resolve(metadata_case* c) {
  auto& in = c->inputs;
  in.clamp =
      c->clamp == NSAMETA_CLAMP_ON || (c->clamp == NSAMETA_CLAMP_DEFAULT && in.mode == NSAMETA_MODE_DRAFT_EXTEND);
  const int width = in.mode == NSAMETA_MODE_DECODE ? 1 : in.tokens_per_request;
  in.ctx_lens_columns = has_constant_query(in) ? width : c->ctx_lens_columns;
  if (c->seq_lens.stride == 0) {
    std::fill(in.seq_lens.begin(), in.seq_lens.end(), in.seq_lens.empty() ? 0 : in.seq_lens[0]);
  }
  if (c->extend_seq_lens.stride == 0) {
    auto& extend = in.extend_seq_lens;
    std::fill(extend.begin(), extend.end(), extend.empty() ? 0 : extend[0]);
  }
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
