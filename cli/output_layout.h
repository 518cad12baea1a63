// Where the outputs of one mode lie in one block of memory, so that a single copy brings them all to the host. The
// page tables are too large for that and lie elsewhere.
#pragma once

#include <array>
#include <cstdint>

#include "core/ops/build_metadata.h"
#include "nsameta/nsameta.hpp"

namespace nsameta::cli {

struct output_place {
  const char* name;
  int64_t first_cell;  // int32 cells from the start of the block
  int64_t capacity;    // cells of the output; 0: not built, or not in the block
  int64_t num_cells;   // up to the next output; at least one more than the capacity
};

struct output_layout {
  std::array<output_place, build_metadata::kNumOutputs> places;  // in the order of outputs.def
  int64_t num_cells;
};

// Longest batch and total that a mode is asked for.
struct build_limits {
  int32_t max_batch;
  int64_t max_tokens;
  int32_t ctx_lens_columns;  // 0: paged_mqa_ctx_lens_2d is not built
  bool has_slots = false;    // out_slots is built
  int32_t num_sms = 0;       // 0: paged_mqa_schedule is not built
  int64_t plan_rows = 0;     // of topk_plan; 0: it is not built
};

output_layout lay_out(const build_limits& limits);

// Sets the output tensors of `args`, which lie in `base`.
void bind_outputs(const output_layout& layout, const build_limits& limits, int32_t* base, nsameta_device device,
                  nsameta_build_metadata_args* args);

}  // namespace nsameta::cli
