// The loops for x86-64 with AVX-512; CMakeLists.txt has the options of the compiler.
#define NSAMETA_CPU_ISA avx512
#include "backends/cpu/loops/table.h"
