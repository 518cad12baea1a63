// What one context of the CPU backend owns.
#pragma once

#include <cstdint>

#include "backends/cpu/policy.h"
#include "backends/cpu/settings.h"
#include "backends/cpu/workers.h"

namespace nsameta::cpu {

struct context_state {
  alignas(64) uint64_t fault_word = 0;  // see core/backend.h
  const cpu::loops& loops = *process_settings().loops;
  cpu::policy policy = default_policy();
  cpu::workers workers{process_settings().num_threads};
};

}  // namespace nsameta::cpu
