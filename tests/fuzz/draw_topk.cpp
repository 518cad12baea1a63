// Cases of map_topk_to_slots.
#include <algorithm>

#include "tests/fuzz/fuzz_case.h"

namespace nsameta::fuzz {
namespace {

using reference::slot_table;
using test::random_source;
using test::topk_case;

void use_token_to_batch(topk_case* c) {
  auto& in = c->inputs;
  int64_t r = 0;
  for (int64_t t = 0; t < c->num_tokens; ++t) {
    while (in.cu_seqlens_q[static_cast<size_t>(r) + 1] <= t) ++r;
    in.token_to_batch.push_back(r);
  }
  in.cu_seqlens_q.clear();
}

template <typename Draw>
void replace_some(random_source& random, int percent, std::vector<int64_t>* values, const Draw& draw) {
  for (auto& value : *values) {
    if (random.chance(percent)) value = draw();
  }
}

// Data that is wrong, or so large that sums end near the ends of int32.
void make_hostile(random_source& random, topk_case* c) {
  auto& in = c->inputs;
  const int percent = random.pick({2, 20, 100});
  const int64_t width = in.table_columns;
  const auto index = [&] {
    return random.pick<int64_t>({INT32_MIN, -2, -1, 0, width - 1, width, width + 1, INT32_MAX - 1, INT32_MAX});
  };
  if (random.chance(60)) replace_some(random, percent, &in.topk_indices, index);
  if (random.chance(40)) {
    in.offset.assign(static_cast<size_t>(c->num_tokens), 0);
    replace_some(random, percent, &in.offset, index);
  }
  if (in.kind != slot_table::req_to_token) return;
  const bool is_wide = c->pool_dtype == NSAMETA_INT64;
  const auto row = [&] {
    const auto narrow = random.pick<int64_t>({INT32_MIN, -1, in.table_rows - 1, in.table_rows, INT32_MAX});
    return is_wide && random.chance(50)
               ? random.pick<int64_t>({(int64_t{1} << 32) + 1, int64_t{-1} << 32, INT64_MIN, INT64_MAX})
               : narrow;
  };
  if (random.chance(50)) replace_some(random, percent, &in.req_pool_indices, row);
  const auto num_requests = static_cast<int64_t>(in.req_pool_indices.size());
  const auto owner = [&] {
    return random.pick<int64_t>({INT32_MIN, -1, 0, num_requests - 1, num_requests, INT32_MAX});
  };
  if (random.chance(50)) replace_some(random, percent, &in.token_to_batch, owner);
  // Nobody owns the last tokens; the sums still do not decrease.
  if (!in.cu_seqlens_q.empty() && random.chance(30)) {
    const int64_t end = random.in(0, c->num_tokens);
    for (auto& sum : in.cu_seqlens_q) sum = std::min(sum, end);
  }
}

}  // namespace

topk_case draw_topk(random_source& random) {
  const auto kind = random.pick({slot_table::req_to_token, slot_table::req_to_token, slot_table::page_table,
                                 slot_table::flattened, slot_table::none});
  const int64_t num_tokens = random.pick<int64_t>({random.in(0, 4), random.in(1, 12), random.in(1, 60)});
  const int64_t edge = (int64_t{1} << random.in(0, 8)) + random.in(-1, 1);
  const int64_t num_topk = std::min<int64_t>(random.pick<int64_t>({random.in(0, 9), edge, edge, 4 * random.in(1, 40)}),
                                             4000 / std::max<int64_t>(num_tokens, 1));
  auto c = test::random_topk_case(random, kind, num_tokens, num_topk, random.pick<int64_t>({1, 2, random.in(1, 60)}));
  c.is_in_place = random.chance(20);
  c.has_num_valid = random.chance(80);
  c.topk_row_slack = random.pick<int64_t>({0, 0, 4, random.in(0, 8)});
  c.slots_row_slack = random.pick<int64_t>({0, 0, 4, random.in(0, 8)});
  c.topk_offset_elements = random.pick<int64_t>({0, 0, random.in(0, 4)});
  c.slots_offset_elements = random.pick<int64_t>({0, 0, random.in(0, 4)});
  c.vector_stride = random.in(1, 3);
  c.vector_slack = random.pick<int64_t>({0, 0, random.in(0, 3)});
  c.pool_dtype = random.pick({NSAMETA_INT32, NSAMETA_INT64});
  c.is_table_transposed = random.chance(20);
  c.table_row_slack = random.pick<int64_t>({0, random.in(0, 5)});
  if (kind == slot_table::req_to_token && num_tokens > 0 && random.chance(50)) use_token_to_batch(&c);
  if (random.chance(20)) {
    for (int64_t t = 0; t < num_tokens; ++t) c.inputs.offset.push_back(random.in(-20, 20));
  }
  if (random.chance(40)) make_hostile(random, &c);
  return c;
}

}  // namespace nsameta::fuzz
