// The loops for x86-64 with AVX2; CMakeLists.txt has the options of the compiler.
#define NSAMETA_CPU_ISA avx2
#include "backends/cpu/loops/table.inc"
