#include "backends/cpu/isa.h"

#include "backends/cpu/loops/isa_tables.h"

namespace nsameta::cpu {

// What is asked for here is what CMakeLists.txt compiles each table with.
std::vector<const loops*> runnable_loops() {
  std::vector<const loops*> tables;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool has_avx2 =
      __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi") != 0 && __builtin_cpu_supports("bmi2") != 0;
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") != 0;
  if (has_avx512) tables.push_back(&avx512::kLoops);
  if (has_avx2) tables.push_back(&avx2::kLoops);
#endif
  tables.push_back(&generic::kLoops);
  return tables;
}

std::string isa_names(const std::vector<const loops*>& tables) {
  std::string names;
  for (const loops* table : tables) names += (names.empty() ? "" : ", ") + std::string(table->isa);
  return names;
}

}  // namespace nsameta::cpu
