// The loops for any CPU of the architecture; CMakeLists.txt has the options of the compiler.
#define NSAMETA_CPU_ISA generic
#include "backends/cpu/loops/table.inc"
