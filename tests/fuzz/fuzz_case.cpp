#include "tests/fuzz/fuzz_case.h"

#include <algorithm>

#include "tests/support/random_case.h"

namespace nsameta::fuzz {

using test::random_source;

static_assert(kNumOps == 4, "draw() does not know every operation");

namespace {

int64_t num_runnable(const test::metadata_case& c) { return c.batch(); }
int64_t num_runnable(const test::copy_case&) { return -1; }
int64_t num_runnable(const test::topk_case& c) { return c.num_tokens; }
int64_t num_runnable(const test::mla_case& c) { return static_cast<int64_t>(c.inputs.seq_lens.size()); }

int64_t draw_bound(random_source& random) {
  return random.chance(70) ? -1
                           : random.pick<int64_t>({0, 1, random.in(0, 5000), INT32_MAX, int64_t{1} << 40, INT64_MAX});
}

}  // namespace

test::metadata_case draw_metadata(random_source& random) {
  test::case_limits limits{.usual_batch = random.pick({4, 4, 12, 40}),
                           .large_batch = 1100,
                           .pool_cells = 4000,
                           .table_cells = 3000,
                           .num_keys = 3000,
                           .num_tokens = 3000,
                           .percent_hostile = 30};
  if (random.chance(2)) limits = {.num_tokens = 20'000, .percent_hostile = 30};
  return test::draw_case(random, limits);
}

fuzz_case draw(random_source& random, const std::vector<nsameta_op>& ops) {
  fuzz_case c;
  // Twice as often the first: build_metadata, where there is most to go wrong.
  const auto drawn = static_cast<size_t>(random.in(0, static_cast<int64_t>(ops.size())));
  switch (ops[drawn % ops.size()]) {
    case NSAMETA_OP_BUILD_METADATA: c.call = draw_metadata(random); break;
    case NSAMETA_OP_COPY_METADATA: c.call = draw_copy(random); break;
    case NSAMETA_OP_MAP_TOPK_TO_SLOTS: c.call = draw_topk(random); break;
    case NSAMETA_OP_MLA_SCHEDULE: c.call = draw_mla(random); break;
  }
  c.by_plan = random.chance(50);
  const int64_t most = std::visit([](const auto& call) { return num_runnable(call); }, c.call);
  if (c.by_plan && most >= 0 && random.chance(50)) c.count = random.in(0, most);
  if (c.by_plan) {
    c.num_tokens_bound = draw_bound(random);
    c.max_kv_bound = draw_bound(random);
  }
  if (random.chance(8)) c.spoiler = random.in(0, 1 << 16);
  return c;
}

}  // namespace nsameta::fuzz
