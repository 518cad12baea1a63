// Arguments that the host can see are wrong: status, a message with argument, value and rule, and nothing written.
#include "tests/support/execution_test.h"

namespace nsameta::test {
namespace {

using args_t = nsameta_build_metadata_args;

class build_metadata_validation : public execution_test {
 protected:
  void SetUp() override {
    execution_test::SetUp();
    expect_no_launch();
  }
  // A good ragged case of 3 requests and 9 tokens with every output.
  static metadata_case good() {
    return ragged_case(NSAMETA_MODE_EXTEND, {10, 20, 30}, {2, 3, 4}).want_all().with_slack(3);
  }
  template <typename T>
  void refuse(T args_t::* field, T value, const std::vector<std::string>& parts) {
    check_refused(good(), [&](args_t* a) { a->*field = value; }, parts);
  }
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_validation);

TEST_P(build_metadata_validation, scalars_out_of_range) {
  refuse(&args_t::topk, 0, {"topk=0", "[1, "});
  refuse(&args_t::topk, -7, {"topk=-7", "[1, "});
  refuse(&args_t::kpool, 0, {"kpool=0", "[1, "});
  refuse(&args_t::kpool, -1, {"kpool=-1", "[1, "});
  refuse(&args_t::mode, 4, {"mode=4", "[0, 3]"});
  refuse(&args_t::mode, -1, {"mode=-1", "[0, 3]"});
  refuse(&args_t::clamp, 3, {"clamp=3", "[0, 2]"});
  refuse(&args_t::tail, 4, {"tail=4", "[0, 3]"});
  refuse(&args_t::static_width, 2, {"static_width=2", "[0, 1]"});
  refuse(&args_t::tokens_per_request, -1, {"tokens_per_request=-1", "[0, "});
  refuse(&args_t::num_tokens_bound, int64_t{-2}, {"num_tokens_bound=-2", "[-1, "});
  refuse(&args_t::batch, -2, {"batch=-2", "[-1, "});
  refuse(&args_t::batch, 4, {"batch=4", "shape[0]=3 of seq_lens"});
}

TEST_P(build_metadata_validation, required_tensors) {
  refuse(&args_t::seq_lens, {}, {"seq_lens=NULL"});
  refuse(&args_t::extend_seq_lens, {}, {"extend_seq_lens=NULL", "mode extend"});
  check_refused(good(), [](args_t* a) { a->seq_lens.data = nullptr; }, {"seq_lens=NULL"});
  check_refused(good(), [](args_t* a) { a->extend_seq_lens.data = nullptr; }, {"extend_seq_lens=NULL"});
  expect_no_launch();
  EXPECT_EQ(nsameta_build_metadata(context(), nullptr, stream()), NSAMETA_INVALID_ARGUMENT);
  EXPECT_NE(std::string(nsameta_last_error_message()).find("args=NULL"), std::string::npos);
}

TEST_P(build_metadata_validation, modes_and_their_arguments) {
  check_refused(good(), [](args_t* a) { a->mode = NSAMETA_MODE_DECODE; }, {"extend_seq_lens", "decode"});
  check_refused(good(), [](args_t* a) { a->mode = NSAMETA_MODE_TARGET_VERIFY; }, {"extend_seq_lens", "target_verify"});
  const auto verify = verify_case({1, 2, 3}, 4).want_all();
  check_refused(verify, [](args_t* a) { a->tokens_per_request = 0; }, {"tokens_per_request=0", "[1, "});
  check_refused(verify, [](args_t* a) { a->static_width = 1; }, {"static_width", "target_verify"});
  const auto decode = decode_case({1, 2, 3}).want_all();
  check_refused(decode, [](args_t* a) { a->tokens_per_request = 2; }, {"tokens_per_request=2", "[0, 1]"});
  check_refused(good(), [](args_t* a) { a->tokens_per_request = 2; }, {"tokens_per_request=2", "extend_seq_lens"});
  check_refused(good(), [](args_t* a) { a->mode = NSAMETA_MODE_DRAFT_EXTEND, a->extend_seq_lens = {}; },
                {"extend_seq_lens=NULL", "draft_extend"});
}

TEST_P(build_metadata_validation, inputs) {
  check_refused(good(), [](args_t* a) { a->extend_seq_lens.shape[0] = 2; },
                {"batch=3", "shape[0]=2 of extend_seq_lens"});
  check_refused(good(), [](args_t* a) { a->seq_lens.dtype = 2; }, {"seq_lens", "dtype=2"});
  check_refused(good(), [](args_t* a) { a->seq_lens.ndim = 2; }, {"seq_lens", "ndim=2", "1"});
  check_refused(good(), [](args_t* a) { a->extend_seq_lens.ndim = 0; }, {"extend_seq_lens"});
  check_refused(good(), [](args_t* a) { a->seq_lens.shape[0] = -1; }, {"shape[0]=-1"});
  check_refused(good(), [](args_t* a) { a->seq_lens.data = static_cast<char*>(a->seq_lens.data) + 2; },
                {"seq_lens", "aligned", "int32"});
  check_refused(good(),
                [](args_t* a) {
                  a->extend_seq_lens.dtype = NSAMETA_INT64,
                  a->extend_seq_lens.data = static_cast<char*>(a->extend_seq_lens.data) + 4;
                },
                {"extend_seq_lens", "aligned", "int64"});
}

TEST_P(build_metadata_validation, device_mismatch) {
  const auto field = [](args_t* a, int i) -> nsameta_tensor& {
    return *std::array{&a->seq_lens, &a->extend_seq_lens, &a->out.positions,
                       &a->out.total_tokens}[static_cast<size_t>(i)];
  };
  for (int i = 0; i < 4; ++i) {
    check_refused(good(), [&](args_t* a) { field(a, i).device.id += 1; }, {"is on", "context is for"});
    check_refused(good(), [&](args_t* a) { field(a, i).device.type = 7; }, {"is on", "context is for"});
  }
}

TEST_P(build_metadata_validation, every_output) {
  for (int i = 0; i < static_cast<int>(output_id::out_slots); ++i) {
    const std::string name = output_name(i);
    SCOPED_TRACE(name);
    check_refused(good(), [&](args_t* a) { tensor_of(a, i).dtype = -1; }, {name, "dtype=-1"});
    check_refused(good(), [&](args_t* a) { tensor_of(a, i).ndim = 3; }, {name, "ndim=3"});
    check_refused(good(), [&](args_t* a) { tensor_of(a, i).device.id = 9; }, {name, "context is for"});
    check_refused(good(), [&](args_t* a) { tensor_of(a, i).data = static_cast<char*>(tensor_of(a, i).data) + 1; },
                  {name, "aligned"});
    if (i != static_cast<int>(output_id::positions)) {
      check_refused(good(), [&](args_t* a) { tensor_of(a, i).dtype = NSAMETA_INT64; }, {name, "int64", "int32"});
    }
    if (kind_of(i) != output_kind::REQUEST_ROW && kind_of(i) != output_kind::SCALAR) {
      check_refused(good(), [&](args_t* a) { tensor_of(a, i).strides[0] = 2; }, {name, "strides[0]=2", "1"});
      check_refused(good(), [&](args_t* a) { tensor_of(a, i).strides[0] = 0; }, {name, "strides[0]=0", "1"});
    }
    if (HasFatalFailure()) return;
  }
}

TEST_P(build_metadata_validation, capacities_that_the_host_knows) {
  for (int i = 0; i < static_cast<int>(output_id::out_slots); ++i) {
    const std::string name = output_name(i);
    SCOPED_TRACE(name);
    const auto shrink = [&](args_t* a) { tensor_of(a, i).shape[0] -= 1; };
    check_refused(verify_case({5, 6, 7}, 2).want_all(), shrink, {name, "capacity"});
    if (!is_per_token(i)) check_refused(good(), shrink, {name, "capacity"});
  }
  check_refused(good(), [](args_t* a) { a->out.nsa_cu_seqlens_k.shape[0] = 0; }, {"nsa_cu_seqlens_k", "capacity 0"});
}

TEST_P(build_metadata_validation, ctx_lens_rows) {
  const auto rows = [](args_t* a) -> nsameta_tensor& { return a->out.paged_mqa_ctx_lens_2d; };
  check_refused(good(), [&](args_t* a) { rows(a).strides[0] = 2; }, {"paged_mqa_ctx_lens_2d", "strides[0]=2", "3"});
  check_refused(good(), [&](args_t* a) { rows(a).strides[0] = -3; }, {"paged_mqa_ctx_lens_2d", "strides[0]=-3"});
  check_refused(good(), [&](args_t* a) { rows(a).strides[1] = 2; }, {"paged_mqa_ctx_lens_2d", "strides[1]=2"});
  check_refused(verify_case({5, 6}, 4).want_all(), [&](args_t* a) { rows(a).shape[1] = 3; },
                {"paged_mqa_ctx_lens_2d", "shape[1]=3", "4"});
}

TEST_P(build_metadata_validation, overlaps) {
  check_refused(good(), [](args_t* a) { a->out.positions.data = a->out.seqlens_expanded.data; },
                {"positions", "overlaps", "seqlens_expanded"});
  check_refused(good(),
                [](args_t* a) { a->out.cu_seqlens_q.data = static_cast<int32_t*>(a->out.cu_seqlens_k.data) + 3; },
                {"cu_seqlens_q", "overlaps", "cu_seqlens_k"});
  check_refused(good(), [](args_t* a) { a->out.cache_seqlens.data = a->seq_lens.data; },
                {"cache_seqlens", "overlaps", "seq_lens"});
  check_refused(good(),
                [](args_t* a) { a->out.total_tokens.data = static_cast<int32_t*>(a->extend_seq_lens.data) + 2; },
                {"total_tokens", "overlaps", "extend_seq_lens"});
  auto strided = good();
  strided.seq_lens.stride = -3;
  check_refused(strided, [](args_t* a) { a->out.total_tokens.data = static_cast<int32_t*>(a->seq_lens.data) - 5; },
                {"total_tokens", "overlaps", "seq_lens"});
}

}  // namespace
}  // namespace nsameta::test
