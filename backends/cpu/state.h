// What one context of the CPU backend owns.
#pragma once

#include <cstdint>

#include "backends/cpu/policy.h"

namespace nsameta::cpu {

struct context_state {
  alignas(64) uint64_t fault_word = 0;  // see core/backend.h
  cpu::policy policy = default_policy();
};

}  // namespace nsameta::cpu
