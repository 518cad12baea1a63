// map_topk_to_slots: every table, every layout, and data that is wrong.
#include "tests/support/topk_case.h"

namespace nsameta::test {
namespace {

using reference::slot_table;

constexpr slot_table kAllTables[] = {slot_table::req_to_token, slot_table::page_table, slot_table::flattened,
                                     slot_table::none};

// The same owners as a token's request each.
void use_token_to_batch(topk_case* c) {
  auto& in = c->inputs;
  for (int64_t t = 0, r = 0; t < c->num_tokens; ++t) {
    while (in.cu_seqlens_q[static_cast<size_t>(r) + 1] <= t) ++r;
    in.token_to_batch.push_back(r);
  }
  in.cu_seqlens_q.clear();
}

class map_topk_to_slots_tables : public op_test {
 protected:
  void check_case(const topk_case& c) {
    bound_topk call(context(), stream(), c);
    ASSERT_FALSE(HasFatalFailure());
    check(call);
  }
};
NSAMETA_TEST_ALL_EXECUTIONS(map_topk_to_slots_tables);

TEST_P(map_topk_to_slots_tables, every_table_and_size) {
  random_source random(80);
  for (const auto kind : kAllTables) {
    for (const int64_t num_topk : {1, 3, 4, 31, 64, 127, 128, 132, 2047, 2048, 2052}) {
      ASSERT_NO_FATAL_FAILURE(check_case(random_topk_case(random, kind, 5, num_topk, 700))) << "k " << num_topk;
    }
  }
}

TEST_P(map_topk_to_slots_tables, token_to_batch) {
  random_source random(81);
  for (const int64_t num_tokens : {1, 2, 33, 300}) {
    auto c = random_topk_case(random, slot_table::req_to_token, num_tokens, 64, 200);
    use_token_to_batch(&c);
    c.pool_dtype = NSAMETA_INT32;
    ASSERT_NO_FATAL_FAILURE(check_case(c));
  }
}

// Around the widths of warps and their squares: each step of the search divides by one.
TEST_P(map_topk_to_slots_tables, owners_among_many_requests) {
  random_source random(82);
  for (const int64_t num_requests : {1, 2, 31, 32, 33, 64, 65, 1023, 1024, 1025, 4097}) {
    topk_case c = random_topk_case(random, slot_table::req_to_token, 1, 4, 8);
    auto& in = c.inputs;
    in.cu_seqlens_q = {0};
    for (int64_t r = 0; r < num_requests; ++r) {
      in.cu_seqlens_q.push_back(in.cu_seqlens_q.back() + (random.chance(30) ? random.in(1, 3) : r % 2));
    }
    c.num_tokens = std::max<int64_t>(in.cu_seqlens_q.back(), 1);
    in.cu_seqlens_q.back() = c.num_tokens;
    in.req_pool_indices.clear();
    for (int64_t r = 0; r < num_requests; ++r) in.req_pool_indices.push_back((r * 7 + 3) % num_requests);
    in.table_rows = num_requests;
    in.table.assign(static_cast<size_t>(num_requests * in.table_columns), 0);
    for (size_t i = 0; i < in.table.size(); ++i) in.table[i] = static_cast<int64_t>(i);
    in.topk_indices.assign(static_cast<size_t>(c.num_tokens * in.num_topk), 5);
    ASSERT_NO_FATAL_FAILURE(check_case(c)) << num_requests << " requests";
  }
}

TEST_P(map_topk_to_slots_tables, offsets) {
  random_source random(83);
  for (const auto kind : kAllTables) {
    auto c = random_topk_case(random, kind, 40, 32, 100);
    for (auto& x : c.inputs.topk_indices) x = x < 0 ? x : x + 1000;
    for (int64_t t = 0; t < c.num_tokens; ++t) c.inputs.offset.push_back(-1000);
    ASSERT_NO_FATAL_FAILURE(check_case(c));
  }
}

// Where there is no table nothing is outside it, and slots wrap.
TEST_P(map_topk_to_slots_tables, indices_without_a_table) {
  random_source random(84);
  auto c = random_topk_case(random, slot_table::none, 3, 4, 100);
  c.inputs.topk_indices = {0, 1, -1, INT32_MAX, 5, 6, 7, 8, INT32_MAX, 9, INT32_MIN, 2};
  c.inputs.offset = {0, -6, 10};
  check_case(c);
}

TEST_P(map_topk_to_slots_tables, layouts) {
  random_source random(85);
  for (const auto kind : kAllTables) {
    for (const int64_t num_topk : {64, 70}) {
      for (int64_t offset = 0; offset < 4; ++offset) {
        auto c = random_topk_case(random, kind, 21, num_topk, 90);
        c.topk_offset_elements = offset;
        c.slots_offset_elements = offset / 2 * 2;
        c.topk_row_slack = offset;
        c.slots_row_slack = 4 * offset;
        c.vector_stride = 1 + offset;
        c.vector_slack = offset;
        c.is_table_transposed = offset % 2 != 0;
        c.table_row_slack = 2 * offset;
        c.has_num_valid = offset != 3;
        if (kind == slot_table::req_to_token && offset > 1) use_token_to_batch(&c);
        ASSERT_NO_FATAL_FAILURE(check_case(c)) << "offset " << offset;
      }
    }
  }
}

TEST_P(map_topk_to_slots_tables, in_place) {
  random_source random(86);
  for (const auto kind : kAllTables) {
    for (const int64_t slack : {0, 3, 4}) {
      auto c = random_topk_case(random, kind, 17, 128, 300);
      c.is_in_place = true;
      c.topk_row_slack = slack;
      ASSERT_NO_FATAL_FAILURE(check_case(c));
    }
  }
}

// Past the size from which the CPU uses more threads; more tokens than a GPU runs at once.
TEST_P(map_topk_to_slots_tables, many_tokens) {
  random_source random(87);
  check_case(random_topk_case(random, slot_table::req_to_token, 5000, 256, 64));
  check_case(random_topk_case(random, slot_table::flattened, 300, 2048, 5000));
}

TEST_P(map_topk_to_slots_tables, nothing_to_do) {
  random_source random(88);
  for (const auto kind : kAllTables) {
    ASSERT_NO_FATAL_FAILURE(check_case(random_topk_case(random, kind, 0, 8, 10)));
    ASSERT_NO_FATAL_FAILURE(check_case(random_topk_case(random, kind, 8, 0, 10)));
  }
}

TEST_P(map_topk_to_slots_tables, indices_outside_the_table) {
  random_source random(89);
  for (const auto kind : {slot_table::req_to_token, slot_table::page_table, slot_table::flattened}) {
    auto c = random_topk_case(random, kind, 9, 68, 50);
    c.inputs.topk_indices[100] = 50;
    c.inputs.topk_indices[200] = INT32_MAX;
    c.inputs.topk_indices[201] = 51;
    ASSERT_NO_FATAL_FAILURE(check_case(c));
    c.inputs.offset.assign(9, 0);
    c.inputs.offset[2] = -3;
    c.inputs.offset[4] = INT32_MAX;  // the sum does not wrap into the table
    c.inputs.offset[5] = INT32_MIN;
    ASSERT_NO_FATAL_FAILURE(check_case(c));
  }
}

TEST_P(map_topk_to_slots_tables, pool_rows_outside) {
  random_source random(91);
  for (const int64_t bad : {int64_t{-1}, int64_t{1} << 20, int64_t{1} << 32, INT64_MIN}) {
    auto c = random_topk_case(random, slot_table::req_to_token, 30, 12, 50);
    for (size_t r = 1; r < c.inputs.req_pool_indices.size(); r += 3) c.inputs.req_pool_indices[r] = bad;
    ASSERT_NO_FATAL_FAILURE(check_case(c)) << "row " << bad;
  }
}

TEST_P(map_topk_to_slots_tables, requests_outside) {
  random_source random(92);
  auto c = random_topk_case(random, slot_table::req_to_token, 30, 12, 50);
  auto short_cu = c;
  short_cu.inputs.cu_seqlens_q.back() = 25;  // nobody owns the last tokens
  for (auto& end : short_cu.inputs.cu_seqlens_q) end = std::min<int64_t>(end, 25);
  ASSERT_NO_FATAL_FAILURE(check_case(short_cu));
  use_token_to_batch(&c);
  c.inputs.token_to_batch[4] = -1;
  c.inputs.token_to_batch[9] = static_cast<int64_t>(c.inputs.req_pool_indices.size());
  c.inputs.token_to_batch[10] = INT32_MIN;
  ASSERT_NO_FATAL_FAILURE(check_case(c));
  // A row without indices asks for no request.
  c.inputs.topk_indices.assign(c.inputs.topk_indices.size(), -1);
  ASSERT_NO_FATAL_FAILURE(check_case(c));
  c.inputs.req_pool_indices.clear();
  c.inputs.topk_indices[50] = 3;
  ASSERT_NO_FATAL_FAILURE(check_case(c));
}

TEST_P(map_topk_to_slots_tables, random) {
  random_source random(93);
  for (int i = 0; i < 80; ++i) {
    const auto kind = kAllTables[random.in(0, 3)];
    auto c = random_topk_case(random, kind, random.in(1, 90), random.in(1, 300), random.in(1, 400));
    c.is_in_place = random.chance(20);
    c.has_num_valid = random.chance(80);
    c.topk_row_slack = random.in(0, 8);
    c.slots_row_slack = random.in(0, 8);
    c.topk_offset_elements = random.in(0, 4);
    c.slots_offset_elements = random.in(0, 4);
    c.vector_stride = random.in(1, 3);
    c.pool_dtype = random.pick({NSAMETA_INT32, NSAMETA_INT64});
    c.is_table_transposed = random.chance(20);
    if (kind == slot_table::req_to_token && random.chance(50)) use_token_to_batch(&c);
    if (random.chance(30)) c.inputs.topk_indices[0] = random.in(0, 1000);
    if (random.chance(30)) {
      for (int64_t t = 0; t < c.num_tokens; ++t) c.inputs.offset.push_back(random.in(-20, 20));
    }
    ASSERT_NO_FATAL_FAILURE(check_case(c)) << "case " << i;
  }
}

}  // namespace
}  // namespace nsameta::test
