// build_metadata: what a caller asked for, checked and normalised for the backends.
#pragma once

#include "core/backend.h"

namespace nsameta::build_metadata {

// Kernels count positions in int32 and step over the end by less than this.
inline constexpr int64_t kHeadroom = 1 << 20;
inline constexpr int64_t kMaxPositions = INT32_MAX - kHeadroom;

// topk_plan is left alone for more tokens than this.
inline constexpr int32_t kMaxPlanTokens = 512;

// Defaults of every field; all tensors absent.
nsameta_build_metadata_args default_args();

// Checks everything that the host can see and fills `desc`. Pure: reads no tensor data. On failure the message names
// argument, value and rule, and `desc` is unspecified.
[[nodiscard]] nsameta_status check(const nsameta_build_metadata_args* args, nsameta_device device,
                                   nsameta_build_metadata_desc* desc);

// The part of it that looks at the outputs; the rest of `desc` is filled.
[[nodiscard]] nsameta_status check_all_outputs(const nsameta_build_metadata_args& args, nsameta_device device,
                                               nsameta_build_metadata_desc* desc);

enum class output_kind { TOKEN, TOKEN_CU, REQUEST, REQUEST_CU, REQUEST_ROW, SCALAR, KEY, TABLE, SCHEDULE, PLAN };

// One output of a descriptor, for code that treats all alike.
struct output_view {
  const char* name;
  output_kind kind;
  const nsameta_output* output;
};

inline constexpr int kNumOutputs = 0
#define NSAMETA_OUTPUT(name, kind) +1
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
    ;

// Fills views[kNumOutputs] in the order of outputs.def, absent outputs included.
void list_outputs(const nsameta_output_set& set, output_view* views);

// Whether an output of the set reads req_to_token.
bool wants_slots(const nsameta_output_set& set);

}  // namespace nsameta::build_metadata
