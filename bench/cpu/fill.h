// What the machine can store: the yardstick of large outputs.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace nsameta::bench {

struct free_memory {
  void operator()(void* data) const { std::free(data); }
};
using cells = std::unique_ptr<int32_t[], free_memory>;

// On a page boundary, touched by nobody yet.
cells allocate_cells(int64_t count);

// Every thread of the arena streams a constant past the cache, a cache line a step.
void fill_past_cache(int32_t* data, int64_t count);

}  // namespace nsameta::bench
