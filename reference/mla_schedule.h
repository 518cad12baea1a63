// The oracle of mla_schedule: FlashMLA's walk, one block at a time, with nothing shared with the library.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "nsameta/nsameta.h"

namespace nsameta::reference {

struct mla_inputs {
  std::vector<int64_t> seq_lens{};
  int num_parts = 1;
  int block_size = 64;
  int fixed_overhead = 5;
  int topk = 0;
  int min_keys = 0;
  int layout = NSAMETA_MLA_SCHED_META;
};

struct mla_schedule {
  std::vector<std::array<int32_t, 8>> parts;  // words beyond num_words stay as they were
  int num_words = 0;
  std::vector<int32_t> num_splits;
  std::vector<int32_t> negative_requests;  // whose length was read and is negative
};

mla_schedule build_mla_schedule(const mla_inputs& inputs);

}  // namespace nsameta::reference
