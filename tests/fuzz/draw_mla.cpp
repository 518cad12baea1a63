// Cases of mla_schedule.
#include <algorithm>

#include "tests/fuzz/fuzz_case.h"

namespace nsameta::fuzz {
namespace {

using test::mla_case;
using test::random_source;

// The oracle counts blocks one by one.
constexpr int64_t kMaxBlocks = 3000;

int64_t draw_length(random_source& random, int64_t high, int block_size) {
  if (random.chance(80)) return random.in(0, high);
  return random.pick<int64_t>({0, 1, -1, INT32_MIN, block_size - 1, block_size, int64_t{block_size} + 1, high});
}

}  // namespace

mla_case draw_mla(random_source& random) {
  mla_case c;
  auto& in = c.inputs;
  in.num_parts = static_cast<int>(random.pick<int64_t>({1, 2, 66, 132, random.in(1, 20), random.in(1, 200), 1024}));
  in.block_size =
      static_cast<int>(random.pick<int64_t>({1, 16, 64, 64, 64, random.in(1, 200), 1 << 20, INT32_MAX - 1, INT32_MAX}));
  in.fixed_overhead = static_cast<int>(random.pick<int64_t>({0, 1, 3, 5, 5, random.in(0, 500), 65'536}));
  in.min_keys = static_cast<int>(random.in(0, 1));
  in.layout = static_cast<int>(random.in(NSAMETA_MLA_TOKENS, NSAMETA_MLA_SCHED_META));
  const int64_t edge = (int64_t{1} << random.in(0, 7)) + random.in(-1, 1);
  const int64_t batch = random.pick<int64_t>({random.in(0, 4), random.in(1, 40), edge});
  const int64_t most = std::min<int64_t>(in.block_size * kMaxBlocks, INT32_MAX);
  const int64_t high = std::min(random.pick<int64_t>({0, 5, 200, 30'000, INT32_MAX}), most);
  c.dtype = random.pick({NSAMETA_INT32, NSAMETA_INT64});
  for (int64_t r = 0; r < batch; ++r) {
    int64_t length = std::min(draw_length(random, high, in.block_size), most);
    if (c.dtype == NSAMETA_INT64 && random.chance(3)) length += random.in(-3, 3) << 32;
    in.seq_lens.push_back(length);
  }
  if (random.chance(25)) in.topk = static_cast<int>(random.in(1, most));
  c.has_lengths = in.topk == 0 || random.chance(50);
  c.stride = random.in(1, 3);
  c.slack = random.pick<int64_t>({0, 0, random.in(0, 9)});
  return c;
}

}  // namespace nsameta::fuzz
