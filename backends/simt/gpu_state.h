#pragma once

#include <cstdint>

#include "backends/simt/tunables.h"

namespace nsameta::simt {

// One context of a GPU backend.
struct gpu_state {
  int device_id;
  int num_multiprocessors;
  int warp_width;
  bool has_bulk_copies;       // Rt::pipe works on the device, and so do clusters of blocks
  std::uint64_t* fault_word;  // pinned, and mapped for the device
  tunable_values tuning;
};

}  // namespace nsameta::simt
