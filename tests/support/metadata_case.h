// One call of build_metadata: its inputs, how the tensors lie in memory, and what memory must hold afterwards.
#pragma once

#include <array>
#include <iosfwd>

#include "reference/build_metadata.h"
#include "tests/support/memory_image.h"
#include "tests/support/random.h"

namespace nsameta::test {

// The outputs, numbered in the order of core/outputs.def.
enum class output_id : int {
#define NSAMETA_OUTPUT(name, kind) name,
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
};

inline constexpr int kNumOutputs = 0
#define NSAMETA_OUTPUT(name, kind) +1
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
    ;

enum class output_kind { TOKEN, TOKEN_CU, REQUEST, REQUEST_CU, REQUEST_ROW, SCALAR };

const char* output_name(int output);
output_kind kind_of(int output);
inline bool is_per_token(int output) {
  return kind_of(output) == output_kind::TOKEN || kind_of(output) == output_kind::TOKEN_CU;
}

struct input_layout {
  nsameta_dtype dtype = NSAMETA_INT32;
  int64_t stride = 1;
  int64_t offset_elements = 0;  // from a 256-byte boundary
};

struct output_layout {
  bool is_wanted = false;
  int64_t slack = 0;  // capacity beyond what the inputs need; negative: too small
  int64_t offset_elements = 0;
};

struct metadata_case {
  // `clamp` and `ctx_lens_columns` in here are set by resolve(); a stride of 0 makes all lengths equal the first.
  reference::metadata_inputs inputs;
  nsameta_clamp clamp = NSAMETA_CLAMP_DEFAULT;
  nsameta_tail tail = NSAMETA_TAIL_KEEP;
  int64_t num_tokens_bound = -1;
  int64_t spare_requests = 0;  // > 0: the input tensors are longer than the batch, which is given
  input_layout seq_lens;
  input_layout extend_seq_lens;
  std::array<output_layout, kNumOutputs> outputs;
  nsameta_dtype positions_dtype = NSAMETA_INT32;
  int ctx_lens_columns = 3;  // where q is no host constant
  int64_t ctx_lens_row_slack = 0;

  output_layout& at(output_id id) { return outputs[static_cast<size_t>(id)]; }
  // Chaining helpers for test code.
  metadata_case& want(std::initializer_list<output_id> ids);
  metadata_case& want_all();
  metadata_case& with_slack(int64_t slack);  // of every per-token output
};

std::ostream& operator<<(std::ostream& out, const metadata_case& c);

bool has_constant_query(const reference::metadata_inputs& inputs);
bool has_extend_tensor(const reference::metadata_inputs& inputs);

// Fills what follows from the rest of the case.
void resolve(metadata_case* c);

// Cases of one mode with q and kv drawn at random: the building blocks of most tests.
metadata_case decode_case(std::vector<int64_t> seq_lens);
metadata_case verify_case(std::vector<int64_t> seq_lens, int tokens_per_request);
metadata_case ragged_case(nsameta_mode mode, std::vector<int64_t> seq_lens, std::vector<int64_t> extend_seq_lens);
// Lengths that prefill and decode steps have: kv >= q, q in [1, max_query].
metadata_case random_ragged_case(random_source& random, nsameta_mode mode, int64_t batch, int64_t max_query);
std::vector<int64_t> random_lengths(random_source& random, int64_t count, int64_t low, int64_t high);

// T as the library reports it: it ends at 2^31 - 1 and does not wrap.
int32_t capped(int64_t num_tokens);

// Values of an output that a run gives, before capacity and tail.
int64_t num_values(const reference::metadata& m, int output);
int64_t value_at(const reference::metadata& m, int output, int64_t idx);

}  // namespace nsameta::test
