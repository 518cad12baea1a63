// The instruction sets that the loops are compiled for; see loops/loops.h.
#pragma once

#include <string>
#include <vector>

#include "backends/cpu/loops/loops.h"

namespace nsameta::cpu {

// The tables that this CPU can run, the best first; the last one is always generic.
std::vector<const loops*> runnable_loops();

// "avx512, avx2, generic"
std::string isa_names(const std::vector<const loops*>& tables);

}  // namespace nsameta::cpu
