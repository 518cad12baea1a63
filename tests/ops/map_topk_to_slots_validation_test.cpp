// map_topk_to_slots: every mistake that the host can see, and plans.
#include "tests/support/topk_case.h"

namespace nsameta::test {
namespace {

using reference::slot_table;
using args_t = nsameta_map_topk_to_slots_args;

class map_topk_to_slots_validation : public op_test {
 protected:
  topk_case good_case(slot_table kind) {
    random_source random(94);
    auto c = random_topk_case(random, kind, 10, 16, 40);
    c.inputs.offset.assign(10, 0);
    return c;
  }

  void refuse(slot_table kind, const std::function<void(args_t*)>& spoil, const std::vector<std::string>& parts) {
    expect_no_launch();
    bound_topk call(context(), stream(), good_case(kind));
    spoil(&call.mutable_args());
    check_refused(call, parts);
  }
};
NSAMETA_TEST_ALL_EXECUTIONS(map_topk_to_slots_validation);

void* element(const nsameta_tensor& tensor, int64_t idx) { return static_cast<int32_t*>(tensor.data) + idx; }

TEST_P(map_topk_to_slots_validation, args) {
  refuse(slot_table::none, [](args_t* a) { a->struct_size = 8; }, {"struct_size=8", "map_topk_to_slots_args_init"});
  EXPECT_EQ(nsameta_map_topk_to_slots(context(), nullptr, stream()), NSAMETA_INVALID_ARGUMENT);
  EXPECT_STREQ(nsameta_last_error_message(), "args=NULL must point to nsameta_map_topk_to_slots_args");
}

TEST_P(map_topk_to_slots_validation, missing) {
  refuse(slot_table::none, [](args_t* a) { a->topk_indices = {}; }, {"topk_indices=NULL"});
  refuse(slot_table::none, [](args_t* a) { a->slots = {}; }, {"slots=NULL"});
  refuse(slot_table::req_to_token, [](args_t* a) { a->req_pool_indices = {}; }, {"req_pool_indices=NULL"});
  refuse(slot_table::req_to_token, [](args_t* a) { a->cu_seqlens_q = {}; },
         {"token_to_batch and cu_seqlens_q are both NULL"});
}

TEST_P(map_topk_to_slots_validation, too_much) {
  refuse(slot_table::req_to_token, [](args_t* a) { a->page_table = a->req_to_token; },
         {"req_to_token excludes page_table"});
  refuse(slot_table::req_to_token, [](args_t* a) { a->flattened = a->cu_seqlens_q; },
         {"req_to_token excludes flattened"});
  refuse(slot_table::page_table, [](args_t* a) { a->flattened = a->offset; }, {"page_table excludes flattened"});
  refuse(slot_table::req_to_token, [](args_t* a) { a->token_to_batch = a->offset; },
         {"token_to_batch and cu_seqlens_q are both there"});
  refuse(slot_table::page_table, [](args_t* a) { a->token_to_batch = a->offset; },
         {"token_to_batch must be absent without req_to_token"});
  refuse(slot_table::flattened, [](args_t* a) { a->cu_seqlens_q = a->offset; },
         {"cu_seqlens_q must be absent without req_to_token"});
  refuse(slot_table::none, [](args_t* a) { a->req_pool_indices = a->offset; },
         {"req_pool_indices must be absent without req_to_token"});
}

TEST_P(map_topk_to_slots_validation, shapes) {
  refuse(slot_table::none, [](args_t* a) { a->topk_indices.ndim = 1; }, {"topk_indices", "ndim=1 must be 2"});
  refuse(slot_table::none, [](args_t* a) { a->topk_indices.shape[0] = int64_t{1} << 31; },
         {"shape[0] of topk_indices=2147483648"});
  refuse(slot_table::none, [](args_t* a) { a->slots.shape[0] = 9; }, {"slots", "shape[0]=9", "topk_indices, 10"});
  refuse(slot_table::none, [](args_t* a) { a->slots.shape[1] = 15; }, {"slots", "shape[1]=15", "topk_indices, 16"});
  refuse(slot_table::none, [](args_t* a) { a->offset.shape[0] = 9; }, {"offset", "shape[0]=9", "10"});
  refuse(slot_table::none, [](args_t* a) { a->num_valid.shape[0] = 9; }, {"num_valid", "shape[0]=9", "10"});
  refuse(slot_table::page_table, [](args_t* a) { a->page_table.shape[0] = 9; }, {"page_table", "shape[0]=9", "10"});
  refuse(slot_table::req_to_token, [](args_t* a) { --a->cu_seqlens_q.shape[0]; },
         {"cu_seqlens_q", "shape[0] + 1 of req_pool_indices"});
  refuse(slot_table::req_to_token,
         [](args_t* a) {
           a->token_to_batch = a->cu_seqlens_q;
           a->token_to_batch.shape[0] = 9;
           a->cu_seqlens_q = {};
         },
         {"token_to_batch", "shape[0]=9", "10"});
}

TEST_P(map_topk_to_slots_validation, types_and_strides) {
  refuse(slot_table::none, [](args_t* a) { a->topk_indices.dtype = NSAMETA_INT64; },
         {"topk_indices: dtype=int64 must be int32"});
  refuse(slot_table::none, [](args_t* a) { a->slots.dtype = NSAMETA_INT64; }, {"slots: dtype=int64 must be int32"});
  refuse(slot_table::none, [](args_t* a) { a->offset.dtype = 5; }, {"offset: dtype=5"});
  refuse(slot_table::flattened, [](args_t* a) { a->flattened.dtype = NSAMETA_INT64; },
         {"flattened: dtype=int64 must be int32"});
  refuse(slot_table::page_table, [](args_t* a) { a->page_table.dtype = NSAMETA_INT64; },
         {"page_table: dtype=int64 must be int32"});
  refuse(slot_table::req_to_token, [](args_t* a) { a->cu_seqlens_q.dtype = NSAMETA_INT64; },
         {"cu_seqlens_q: dtype=int64 must be int32"});
  refuse(slot_table::none, [](args_t* a) { a->num_valid.dtype = NSAMETA_INT64; },
         {"num_valid: dtype=int64 must be int32"});
  refuse(slot_table::none, [](args_t* a) { a->topk_indices.strides[1] = 2; }, {"topk_indices: strides[1]=2 must be 1"});
  refuse(slot_table::none, [](args_t* a) { a->slots.strides[1] = -1; }, {"slots: strides[1]=-1 must be 1"});
  refuse(slot_table::none, [](args_t* a) { a->slots.strides[0] = INT64_MAX; }, {"slots: strides[0]=", "2^61 bytes"});
  refuse(slot_table::none, [](args_t* a) { a->slots.strides[0] = INT64_MIN; }, {"slots: strides[0]=", "2^61 bytes"});
  refuse(slot_table::none, [](args_t* a) { a->slots.strides[0] = 15; }, {"slots: strides[0]=15", "16 columns alias"});
  refuse(slot_table::none, [](args_t* a) { a->num_valid.strides[0] = 2; }, {"num_valid: strides[0]=2 must be 1"});
  refuse(slot_table::none, [](args_t* a) { a->slots.device.id += 1; }, {"slots: is on"});
}

TEST_P(map_topk_to_slots_validation, overlap) {
  refuse(slot_table::none, [](args_t* a) { a->slots.data = element(a->topk_indices, 1); },
         {"output slots overlaps input topk_indices"});
  refuse(slot_table::none,
         [](args_t* a) {
           a->slots.data = a->topk_indices.data;
           a->slots.strides[0] = 17;
         },
         {"output slots overlaps input topk_indices"});
  refuse(slot_table::none, [](args_t* a) { a->num_valid.data = element(a->slots, 159); },
         {"output num_valid overlaps output slots"});
  refuse(slot_table::none, [](args_t* a) { a->num_valid = a->offset; }, {"output num_valid overlaps input offset"});
  refuse(slot_table::page_table, [](args_t* a) { a->slots.data = element(a->page_table, 3); },
         {"output slots overlaps input page_table"});
  refuse(slot_table::req_to_token, [](args_t* a) { a->num_valid.data = a->cu_seqlens_q.data; },
         {"output num_valid overlaps input cu_seqlens_q"});
}

TEST_P(map_topk_to_slots_validation, plans_for_every_number_of_tokens) {
  for (const auto kind : {slot_table::req_to_token, slot_table::page_table, slot_table::flattened, slot_table::none}) {
    bound_topk call(context(), stream(), good_case(kind));
    const auto plan = create_plan(call);
    ASSERT_NE(plan, nullptr);
    for (int32_t count = 10; count >= -1; --count) ASSERT_NO_FATAL_FAILURE(check_plan(call, plan.get(), count));
  }
}

TEST_P(map_topk_to_slots_validation, bad_runs) {
  expect_no_launch();
  bound_topk call(context(), stream(), good_case(slot_table::req_to_token));
  ASSERT_NO_FATAL_FAILURE(call.reset());
  const auto plan = create_plan(call);
  const auto refused = [&](int32_t batch, int64_t tokens, int64_t kv, const char* part) {
    expect_refused(call, [&] { return nsameta_plan_run(plan.get(), batch, tokens, kv, stream()); }, {part});
  };
  refused(11, -1, -1, "batch=11 must be in [-1, 10]");
  refused(-2, -1, -1, "batch=-2");
  refused(1, -2, -1, "num_tokens_bound=-2");
  refused(1, -1, -2, "max_kv_bound=-2");
}

TEST_P(map_topk_to_slots_validation, capture_of_a_staged_run) {
  expect_no_launch();
  bound_topk call(context(), stream(), good_case(slot_table::req_to_token));
  check_staged_capture(call);
}

}  // namespace
}  // namespace nsameta::test
