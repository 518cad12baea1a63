// What the backend of counting_gpu.cpp says about its launches.
#pragma once

#include <cstdint>

namespace nsameta::counts {

struct launch_record {
  std::uint64_t num_launches = 0;
  const char* kernel = "";  // the last one
  int num_blocks = 0;
  int block_threads = 0;
};

}  // namespace nsameta::counts

extern "C" __attribute__((visibility("default"))) const nsameta::counts::launch_record* nsameta_counting_gpu_record();
