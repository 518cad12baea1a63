// One call of build_metadata: its inputs, how the tensors lie in memory, and what memory must hold afterwards.
#pragma once

#include <array>
#include <iosfwd>
#include <memory>

#include "reference/build_metadata.h"
#include "tests/support/layout.h"
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

inline constexpr nsameta_tail kTails[] = {NSAMETA_TAIL_KEEP, NSAMETA_TAIL_ZERO, NSAMETA_TAIL_LAST,
                                          NSAMETA_TAIL_MINUS_ONE};

enum class output_kind { TOKEN, TOKEN_CU, REQUEST, REQUEST_CU, REQUEST_ROW, SCALAR, KEY, TABLE, SCHEDULE, PLAN };

const char* output_name(int output);
output_kind kind_of(int output);
inline bool is_per_token(int output) {
  return kind_of(output) == output_kind::TOKEN || kind_of(output) == output_kind::TOKEN_CU;
}

struct output_layout {
  bool is_wanted = false;
  // Capacity beyond what the inputs need; negative: too small. paged_mqa_schedule takes none.
  int64_t slack = 0;
  int64_t offset_elements = 0;
};

struct table_layout {
  int64_t num_columns = -1;  // -1: as many as req_to_token has keys, or pages of them
  matrix_layout memory;
};

// One destination.
struct set_layout {
  std::array<output_layout, kNumOutputs> outputs{};
  nsameta_dtype positions_dtype = NSAMETA_INT32;
  nsameta_dtype out_slots_dtype = NSAMETA_INT32;
  int ctx_lens_columns = 3;  // where q is no host constant
  int64_t ctx_lens_row_slack = 0;
  table_layout page_table_1;
  table_layout real_page_table;
  int num_sms = 132;

  output_layout& at(output_id id) { return outputs[static_cast<size_t>(id)]; }
  const output_layout& at(output_id id) const { return outputs[static_cast<size_t>(id)]; }
};

// The case itself is the layout of the first destination.
struct metadata_case : set_layout {
  // What follows from choices below (`clamp`, `ctx_lens_columns`, `mqa_by_token`) is set by resolve(), and what the
  // outputs need (widths, capacities) by bound_case; a stride of 0 makes all lengths equal the first.
  reference::metadata_inputs inputs;
  nsameta_clamp clamp = NSAMETA_CLAMP_DEFAULT;
  nsameta_tail tail = NSAMETA_TAIL_KEEP;
  nsameta_table_rows table_rows = NSAMETA_TABLE_ROWS_DEFAULT;
  nsameta_mqa_lengths mqa_lengths = NSAMETA_MQA_LENGTHS_DEFAULT;
  int64_t num_tokens_bound = -1;
  int64_t max_kv_bound = -1;
  int64_t max_table_width = -1;
  bool is_programmatic = false;  // programmatic_launch
  int64_t spare_requests = 0;    // > 0: the input tensors are longer than the batch, which is given
  input_layout seq_lens;
  input_layout extend_seq_lens;
  input_layout req_pool_indices{.dtype = NSAMETA_INT64};
  matrix_layout req_to_token;
  int64_t pool_offset_elements = 0;
  std::shared_ptr<const std::vector<int32_t>> pool;  // cells of req_to_token, row-major; null: there is none
  std::vector<set_layout> more_sets;

  int64_t batch() const { return static_cast<int64_t>(inputs.seq_lens.size()); }
  bool has_num_requests() const { return inputs.has_num_requests; }
  bool tables_by_token() const;
  const set_layout& set(size_t idx) const { return idx == 0 ? *this : more_sets[idx - 1]; }
  size_t num_sets() const { return 1 + more_sets.size(); }

  // Chaining helpers for test code.
  metadata_case& want(std::initializer_list<output_id> ids);
  metadata_case& want_all();                 // that the case can have: slots, schedule and plan come with a pool
  metadata_case& with_slack(int64_t slack);  // of every per-token output
  // Requests own random rows of a req_to_token of random slots. max_context -1: as many keys as the longest has.
  metadata_case& with_pool(random_source& random, int64_t max_context = -1);
  metadata_case& with_num_requests(int64_t num_requests);
};

std::ostream& operator<<(std::ostream& out, const metadata_case& c);

bool has_constant_query(const reference::metadata_inputs& inputs);
bool has_extend_tensor(const reference::metadata_inputs& inputs);

// kv of a request, negative ones included.
int64_t key_length(const reference::metadata_inputs& inputs, size_t request_idx);

// Requests that exist.
int64_t true_batch(const reference::metadata_inputs& inputs);

// Other inputs of the same batch, so that a replay that still reads what was there at capture gives wrong values.
reference::metadata_inputs changed(const reference::metadata_inputs& inputs);

// Those of the first `batch` requests.
reference::metadata_inputs first_requests(const reference::metadata_inputs& all, int64_t batch);

// Fills what follows from the rest of the case.
void resolve(metadata_case* c);

// Cases of one mode with q and kv drawn at random: the building blocks of most tests.
metadata_case decode_case(std::vector<int64_t> seq_lens);
metadata_case verify_case(std::vector<int64_t> seq_lens, int tokens_per_request);
metadata_case ragged_case(nsameta_mode mode, std::vector<int64_t> seq_lens, std::vector<int64_t> extend_seq_lens);
// Lengths that prefill and decode steps have: kv >= q, q in [1, max_query].
metadata_case random_ragged_case(random_source& random, nsameta_mode mode, int64_t batch, int64_t max_query);
std::vector<int64_t> random_lengths(random_source& random, int64_t count, int64_t low, int64_t high);

// A count as the library reports it: it ends at 2^31 - 1 and does not wrap.
int32_t capped(int64_t count);

// Values of an output that a run gives, before capacity and tail.
int64_t num_values(const reference::metadata& m, int output);
int64_t value_at(const reference::metadata& m, int output, int64_t idx);

}  // namespace nsameta::test
