// What the environment says about the CPU backend. Read once per process and frozen.
#pragma once

#include <string>
#include <vector>

#include "backends/cpu/loops/loops.h"

namespace nsameta::cpu {

inline constexpr const char* kIsaVariable = "NSAMETA_CPU_ISA";
inline constexpr const char* kThreadsVariable = "NSAMETA_CPU_THREADS";

struct settings {
  const cpu::loops* loops = nullptr;  // the best that the CPU can run, unless NSAMETA_CPU_ISA names another
  int num_threads = 0;                // 0 when NSAMETA_CPU_THREADS is not set: oneTBB decides
  std::string error;                  // names the variable that cannot be obeyed; the backend is not usable then
};

// NULL and "": the variable is not set. runnable: the best first. max_threads: what the process may use.
settings parse_settings(const char* isa, const char* threads, const std::vector<const loops*>& runnable,
                        int max_threads);

const settings& process_settings();

}  // namespace nsameta::cpu
