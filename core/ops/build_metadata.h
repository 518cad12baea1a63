// build_metadata: what a caller asked for, checked and normalised for the backends.
#pragma once

#include "core/backend.h"

namespace nsameta::build_metadata {

// Defaults of every field; all tensors absent.
nsameta_build_metadata_args default_args();

// Checks everything that the host can see and fills `desc`. Pure: reads no tensor data. On failure the message names
// argument, value and rule, and `desc` is unspecified.
[[nodiscard]] nsameta_status check(const nsameta_build_metadata_args* args, nsameta_device device,
                                   nsameta_build_metadata_desc* desc);

enum class output_kind { TOKEN, TOKEN_CU, REQUEST, REQUEST_CU, REQUEST_ROW, SCALAR };

// One output of a descriptor, for code that treats all alike.
struct output_view {
  const char* name;
  output_kind kind;
  const nsameta_output* output;
  int element_bytes;
};

inline constexpr int kNumOutputs = 0
#define NSAMETA_OUTPUT(name, kind) +1
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
    ;

// Fills views[kNumOutputs] in the order of outputs.def, absent outputs included.
void list_outputs(const nsameta_build_metadata_desc& desc, output_view* views);

// Leading elements of a 1-D output (rows of a 2-D one) that a run with num_tokens tokens in all writes, its tail
// included.
int64_t written_count(const output_view& view, const nsameta_build_metadata_desc& desc, int64_t num_tokens);

}  // namespace nsameta::build_metadata
