// copy_metadata: every mistake that the host can see, and plans.
#include "tests/support/copy_case.h"

namespace nsameta::test {
namespace {

class copy_metadata_validation : public op_test {
 protected:
  // Two vectors, of 12 and of 30, and a matrix of 4 x 6.
  static copy_case good_case() {
    copy_case c;
    c.add_vector(12);
    c.add_vector(30);
    c.add_pair(4, 6, {0, 8, 1}, {0, 8, 1});
    return c;
  }

  void refuse(const std::function<void(nsameta_copy_metadata_args*, std::vector<nsameta_copy_pair>*)>& spoil,
              const std::vector<std::string>& parts) {
    expect_no_launch();
    bound_copy call(context(), stream(), good_case());
    spoil(&call.mutable_args(), &call.pairs());
    check_refused(call, parts);
  }
  void refuse_pairs(const std::function<void(std::vector<nsameta_copy_pair>*)>& spoil,
                    const std::vector<std::string>& parts) {
    refuse([&](auto*, auto* pairs) { spoil(pairs); }, parts);
  }
};
NSAMETA_TEST_ALL_EXECUTIONS(copy_metadata_validation);

using pairs_t = std::vector<nsameta_copy_pair>;

void* element(const nsameta_tensor& tensor, int64_t idx) { return static_cast<int32_t*>(tensor.data) + idx; }

TEST_P(copy_metadata_validation, scalars) {
  const auto spoil = [&](auto change, const std::vector<std::string>& parts) {
    refuse([&](nsameta_copy_metadata_args* args, pairs_t*) { change(args); }, parts);
  };
  spoil([](auto* args) { args->num_pairs = -1; }, {"num_pairs=-1", "[0, 64]"});
  spoil([](auto* args) { args->num_pairs = 65; }, {"num_pairs=65", "[0, 64]"});
  spoil([](auto* args) { args->reserved = 7; }, {"reserved=7"});
  spoil([](auto* args) { args->pairs = nullptr; }, {"pairs=NULL", "num_pairs=3"});
  spoil([](auto* args) { args->struct_size = 0; }, {"struct_size=0", "nsameta_copy_metadata_args_init"});
}

TEST_P(copy_metadata_validation, null_args) {
  expect_no_launch();
  EXPECT_EQ(nsameta_copy_metadata(context(), nullptr, stream()), NSAMETA_INVALID_ARGUMENT);
  EXPECT_STREQ(nsameta_last_error_message(), "args=NULL must point to nsameta_copy_metadata_args");
}

TEST_P(copy_metadata_validation, tensors) {
  refuse_pairs([](pairs_t* p) { (*p)[1].source.ndim = 3; }, {"pairs[1].source", "ndim=3 must be 1 or 2"});
  refuse_pairs([](pairs_t* p) { (*p)[1].destination = {}; }, {"pairs[1].destination", "ndim=0"});
  refuse_pairs([](pairs_t* p) { (*p)[0].source.data = nullptr; }, {"pairs[0].source: data=NULL"});
  refuse_pairs([](pairs_t* p) { (*p)[2].destination.data = nullptr; }, {"pairs[2].destination: data=NULL"});
  refuse_pairs([](pairs_t* p) { (*p)[2].source.dtype = 9; }, {"pairs[2].source", "dtype=9"});
  for (const int64_t stride : {INT64_MAX, INT64_MIN, int64_t{1} << 60}) {
    const std::vector<std::string> parts{"strides[0]=" + std::to_string(stride), "2^61 bytes"};
    refuse_pairs([&](pairs_t* p) { (*p)[2].source.strides[0] = stride; }, parts);
    refuse_pairs([&](pairs_t* p) { (*p)[2].destination.strides[0] = stride; }, parts);
  }
  refuse_pairs([](pairs_t* p) { (*p)[0].source.shape[0] = -4; }, {"pairs[0].source", "shape[0]=-4"});
  refuse_pairs([](pairs_t* p) { (*p)[0].destination.device.id += 1; }, {"pairs[0].destination", "is on"});
  refuse_pairs([](pairs_t* p) { (*p)[1].source.data = static_cast<char*>((*p)[1].source.data) + 2; },
               {"pairs[1].source", "not aligned to int32"});
}

TEST_P(copy_metadata_validation, sides_that_differ) {
  refuse_pairs([](pairs_t* p) { (*p)[1].destination.shape[0] = 29; },
               {"pairs[1].destination", "shape[0]=29", "source, 30"});
  refuse_pairs([](pairs_t* p) { (*p)[2].destination.shape[1] = 5; },
               {"pairs[2].destination", "shape[1]=5", "source, 6"});
  refuse_pairs([](pairs_t* p) { (*p)[2].source = (*p)[1].source; }, {"pairs[2].destination", "ndim=2", "source, 1"});
  refuse_pairs(
      [](pairs_t* p) {
        (*p)[0].destination.dtype = NSAMETA_INT64;
        (*p)[0].destination.shape[0] = (*p)[0].source.shape[0] = 6;
      },
      {"pairs[0].destination", "dtype=int64", "source, int32"});
  refuse_pairs([](pairs_t* p) { (*p)[1].source.shape[0] = 0; }, {"pairs[1].destination", "shape[0]=30"});
}

TEST_P(copy_metadata_validation, strides) {
  refuse_pairs([](pairs_t* p) { (*p)[0].destination.strides[0] = 0; },
               {"pairs[0].destination", "strides[0]=0", "12 elements alias"});
  refuse_pairs([](pairs_t* p) { (*p)[2].destination.strides[0] = 5; },
               {"pairs[2].destination", "strides=(5, 1)", "alias"});
  refuse_pairs([](pairs_t* p) { (*p)[1].source.strides[0] = int64_t{1} << 31; },
               {"pairs[1].source", "2147483648 elements apart"});
}

TEST_P(copy_metadata_validation, overlap) {
  refuse_pairs([](pairs_t* p) { (*p)[1].destination.data = element((*p)[0].destination, 11); },
               {"pairs[1].destination overlaps pairs[0].destination"});
  refuse_pairs([](pairs_t* p) { (*p)[0].destination.data = element((*p)[1].source, 29); },
               {"pairs[0].destination overlaps pairs[1].source"});
  refuse_pairs([](pairs_t* p) { (*p)[0].destination = (*p)[0].source; },
               {"pairs[0].destination overlaps pairs[0].source"});
  // Columns 5 to 10 of rows that are 8 apart: the last ones are the next row's first.
  refuse_pairs([](pairs_t* p) { (*p)[2].destination.data = element((*p)[2].source, 5); },
               {"pairs[2].destination overlaps pairs[2].source"});
  // Other row strides: no proof, whether or not a cell is shared.
  refuse_pairs(
      [](pairs_t* p) {
        (*p)[1].destination.data = element((*p)[2].destination, 6);
        (*p)[1].destination.strides[0] = 16;
        (*p)[1].destination.shape[0] = (*p)[1].source.shape[0] = 2;
        (*p)[2].destination.strides[0] = 9;
      },
      {"pairs[2].destination overlaps pairs[1].destination"});
}

TEST_P(copy_metadata_validation, plans) {
  expect_no_launch();
  bound_copy call(context(), stream(), good_case());
  ASSERT_NO_FATAL_FAILURE(call.reset());
  const auto plan = create_plan(call);
  ASSERT_NE(plan, nullptr);
  const auto refused = [&](int32_t batch, int64_t tokens, int64_t kv, const char* part) {
    expect_refused(call, [&] { return nsameta_plan_run(plan.get(), batch, tokens, kv, stream()); }, {part});
  };
  refused(0, -1, -1, "batch=0 must be -1");
  refused(3, -1, -1, "batch=3 must be -1");
  refused(-1, -2, -1, "num_tokens_bound=-2");
  refused(-1, -1, -2, "max_kv_bound=-2");
}

TEST_P(copy_metadata_validation, capture_of_a_staged_run) {
  expect_no_launch();
  bound_copy call(context(), stream(), good_case());
  check_staged_capture(call);
}

TEST_P(copy_metadata_validation, pairs_may_go_after_create) {
  bound_copy call(context(), stream(), good_case());
  const auto plan = create_plan(call);
  for (auto& pair : call.pairs()) pair = {};
  check_plan(call, plan.get(), -1);
}

}  // namespace
}  // namespace nsameta::test
