// The loops for x86-64 with AVX-512: those of AVX2, and gathers of 512 bits. Tokens stay with 256 bits, which were
// faster (docs/CPU.md), so the options of the compiler are AVX2's.
#define NSAMETA_CPU_ISA avx512
#define NSAMETA_CPU_GATHERS_512
#include "backends/cpu/loops/table.inc"
