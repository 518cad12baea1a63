// What a test can learn from the fake GPU, through its exported function fake_gpu_get_log.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nsameta::plugin {

struct fake_gpu_log {
  size_t num_writes = 0;
  size_t bytes_written = 0;
  size_t bytes_read = 0;
  int32_t is_capturing = 0;
};

}  // namespace nsameta::plugin
