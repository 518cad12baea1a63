// build_metadata with explicit loops and policy, so that tests and benchmarks can reach every path with little data.
#pragma once

#include <cstdint>

#include "backends/cpu/loops/loops.h"
#include "backends/cpu/policy.h"
#include "core/backend.h"

namespace nsameta::cpu {

// Writes all outputs of `desc`, and the first fault into *fault_word if that is still 0. May throw what oneTBB throws.
void build_metadata(const nsameta_build_metadata_desc& desc, const loops& loops, const policy& policy,
                    uint64_t* fault_word);

}  // namespace nsameta::cpu
