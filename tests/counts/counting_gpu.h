// What the backend of counting_gpu.cpp says about its launches.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/backend.h"

namespace nsameta::counts {

struct launch_record {
  std::uint64_t num_launches = 0;
  const char* kernel = "";  // the last one
  int num_blocks = 0;
  int block_threads = 0;
};

#define NSAMETA_OP(name)                                                                                            \
  nsameta_status explain_##name(const void* state, const nsameta_##name##_desc* desc, char* text, std::size_t size, \
                                std::size_t* needed);
#include "core/ops.def"
#undef NSAMETA_OP

}  // namespace nsameta::counts

extern "C" __attribute__((visibility("default"))) const nsameta::counts::launch_record* nsameta_counting_gpu_record();
