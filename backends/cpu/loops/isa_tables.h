// The tables that generic.cpp, avx2.cpp and avx512.cpp define. Those of instruction sets that the architecture lacks
// are not built.
#pragma once

#include "backends/cpu/loops/loops.h"

namespace nsameta::cpu {

namespace generic {
extern const loops kLoops;
}
namespace avx2 {
extern const loops kLoops;
}
namespace avx512 {
extern const loops kLoops;
}

}  // namespace nsameta::cpu
