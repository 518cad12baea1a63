// Callers that were compiled against an older or a newer header.
#include <cstring>

#include "tests/support/execution_test.h"

namespace nsameta::test {
namespace {

using args_t = nsameta_build_metadata_args;

class build_metadata_struct_size : public execution_test {};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_struct_size);

// What a newer caller would pass: this library's struct and fields behind it.
struct newer_args {
  args_t known;
  unsigned char added[40];
};

TEST_P(build_metadata_struct_size, no_init_is_refused) {
  expect_no_launch();
  const auto c = decode_case({1, 2}).want_all();
  check_refused(c, [](args_t* a) { a->struct_size = 0; }, {"struct_size=0"});
  check_refused(c, [](args_t* a) { a->struct_size = offsetof(args_t, out) - 1; }, {"struct_size="});
}

TEST_P(build_metadata_struct_size, older_caller_gets_defaults) {
  // Ends before the outputs from `positions` on: garbage there is not read.
  auto c = decode_case({1, 2, 3}).want({output_id::seqlens_expanded, output_id::cu_seqlens_k});
  check_launch(c, [&](const bound_case& b) {
    auto args = b.args();
    args.struct_size = offsetof(args_t, out) + offsetof(nsameta_metadata_outputs, positions);
    std::memset(reinterpret_cast<char*>(&args) + args.struct_size, 0x5A, sizeof(args) - args.struct_size);
    return nsameta_build_metadata(context(), &args, stream());
  });
}

TEST_P(build_metadata_struct_size, newer_caller_with_unused_fields) {
  check_launch(decode_case({1, 2, 3}).want_all(), [&](const bound_case& b) {
    newer_args args{b.args(), {}};
    args.known.struct_size = sizeof(args);
    return nsameta_build_metadata(context(), &args.known, stream());
  });
}

TEST_P(build_metadata_struct_size, newer_caller_with_used_fields_is_refused) {
  expect_no_launch();
  bound_case bound(context(), stream(), decode_case({1, 2, 3}).want_all());
  ASSERT_NO_FATAL_FAILURE(bound.reset(bound.description().inputs));
  for (const size_t byte : {size_t{0}, size_t{17}, sizeof(newer_args::added) - 1}) {
    newer_args args{bound.args(), {}};
    args.known.struct_size = sizeof(args);
    args.added[byte] = 1;
    EXPECT_EQ(nsameta_build_metadata(context(), &args.known, stream()), NSAMETA_INVALID_ARGUMENT);
    EXPECT_NE(std::string(nsameta_last_error_message()).find("struct_size=" + std::to_string(sizeof(args))),
              std::string::npos);
    nsameta_plan* plan = nullptr;
    EXPECT_EQ(nsameta_plan_create(context(), NSAMETA_OP_BUILD_METADATA, &args, &plan), NSAMETA_INVALID_ARGUMENT);
    EXPECT_EQ(plan, nullptr);
  }
  EXPECT_TRUE(bound.is_untouched());
}

TEST_P(build_metadata_struct_size, defaults) {
  expect_no_launch();
  args_t args;
  std::memset(&args, 0x5A, sizeof(args));
  nsameta_build_metadata_args_init(&args);
  EXPECT_EQ(args.struct_size, sizeof(args));
  EXPECT_EQ(args.batch, -1);
  EXPECT_EQ(args.kpool, 1);
  EXPECT_EQ(args.num_tokens_bound, -1);
  EXPECT_EQ(args.clamp, NSAMETA_CLAMP_DEFAULT);
  EXPECT_EQ(args.tail, NSAMETA_TAIL_KEEP);
  EXPECT_EQ(args.tokens_per_request, 0);
  EXPECT_EQ(args.static_width, 0);
  for (int i = 0; i < kNumOutputs; ++i) EXPECT_EQ(tensor_of(&args, i).data, nullptr) << output_name(i);
  EXPECT_EQ(args.seq_lens.data, nullptr);
}

}  // namespace
}  // namespace nsameta::test
