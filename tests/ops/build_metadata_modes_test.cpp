// Every mode with every output, over the ranges of n, topk and kpool that engines use and the edges beyond them.
#include "tests/support/execution_test.h"

namespace nsameta::test {
namespace {

class build_metadata_modes : public execution_test {};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_modes);

TEST_P(build_metadata_modes, decode) {
  random_source random(10);
  for (const int64_t batch : {1, 7, 32, 300}) check(decode_case(random_lengths(random, batch, 1, 5000)).want_all());
  auto c = decode_case({0, 1, 2047, 2048, 2049, 1'000'000}).want_all();
  check(c);
  c.inputs.tokens_per_request = 1;
  check(c);
}

TEST_P(build_metadata_modes, target_verify) {
  random_source random(11);
  for (int n = 1; n <= 8; ++n) {
    for (const int64_t batch : {1, 5, 32, 129}) {
      auto c = verify_case(random_lengths(random, batch, 0, 4000), n).want_all();
      c.ctx_lens_row_slack = n % 3;
      check(c);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(build_metadata_modes, draft_extend_ragged) {
  random_source random(12);
  for (const int64_t batch : {1, 2, 31, 64, 200}) {
    check(random_ragged_case(random, NSAMETA_MODE_DRAFT_EXTEND, batch, 5).want_all());
  }
}

TEST_P(build_metadata_modes, draft_extend_host_constant) {
  random_source random(13);
  for (const int width : {1, 2, 4, 7, 100}) {
    auto c = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, random_lengths(random, 40, 0, 3000), {}).want_all();
    c.inputs.tokens_per_request = width;
    check(c);
  }
}

TEST_P(build_metadata_modes, draft_extend_static_width) {
  random_source random(14);
  for (const int64_t width : {0, 1, 3, 8, 70}) {
    auto c = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, random_lengths(random, 33, 0, 3000), {width}).want_all();
    c.inputs.static_width = true;
    check(c);
    c.inputs.extend_seq_lens.assign(33, width + 5);  // only the first counts
    c.inputs.extend_seq_lens[0] = width;
    check(c);
  }
}

TEST_P(build_metadata_modes, extend_with_constant_and_static_width) {
  auto c = ragged_case(NSAMETA_MODE_EXTEND, {3, 0, 900, 64}, {}).want_all();
  c.inputs.tokens_per_request = 4;
  check(c);
  c.inputs.tokens_per_request = 0;
  c.inputs.static_width = true;
  c.inputs.extend_seq_lens = {4};
  check(c);
}

TEST_P(build_metadata_modes, extend_chunked_prefill) {
  // Three chunks of one long prompt, beside requests without a prefix.
  for (const int64_t cached : {0, 8192, 16384}) {
    auto c = ragged_case(NSAMETA_MODE_EXTEND, {cached + 8192, 700, 12}, {8192, 700, 12}).want_all();
    check(c);
  }
}

TEST_P(build_metadata_modes, mixed_batch) {
  random_source random(15);
  auto c = random_ragged_case(random, NSAMETA_MODE_EXTEND, 100, 1);
  for (size_t r = 0; r < c.inputs.seq_lens.size(); r += 9) {
    c.inputs.extend_seq_lens[r] = random.in(0, 2000);  // prefilling, some with nothing left
    c.inputs.seq_lens[r] += c.inputs.extend_seq_lens[r];
  }
  check(c.want_all());
}

TEST_P(build_metadata_modes, clamp_in_every_mode) {
  for (const auto clamp : {NSAMETA_CLAMP_DEFAULT, NSAMETA_CLAMP_OFF, NSAMETA_CLAMP_ON}) {
    for (const int kpool : {1, 4}) {
      auto extend = ragged_case(NSAMETA_MODE_EXTEND, {0, 1, 3, 4, 5, 100}, {4, 4, 4, 4, 4, 120}).want_all();
      auto draft = ragged_case(NSAMETA_MODE_DRAFT_EXTEND, {0, 1, 3, 4, 5, 100}, {4, 4, 4, 4, 4, 120}).want_all();
      auto decode = decode_case({0, 1, 9}).want_all();
      auto verify = verify_case({0, 1, 9}, 3).want_all();
      for (auto* c : {&extend, &draft, &decode, &verify}) {
        c->clamp = clamp;
        c->inputs.kpool = kpool;
        c->inputs.topk = 64;
        check(*c);
      }
    }
  }
}

TEST_P(build_metadata_modes, kpool) {
  random_source random(16);
  for (const int kpool : {1, 2, 4, 64, 100, INT32_MAX}) {
    for (const int topk : {1, 5, 64, 130, 2048, INT32_MAX}) {  // dividing and not dividing
      auto c = random_ragged_case(random, NSAMETA_MODE_EXTEND, 20, 400).want_all();
      c.inputs.kpool = kpool;
      c.inputs.topk = topk;
      check(c);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(build_metadata_modes, topk_edges) {
  random_source random(17);
  for (const int topk : {1, 2, 2047, 2048, INT32_MAX - 1, INT32_MAX}) {
    auto c = random_ragged_case(random, NSAMETA_MODE_EXTEND, 20, 200).want_all();
    c.inputs.seq_lens[3] = INT32_MAX;
    c.inputs.topk = topk;
    check(c);
  }
}

}  // namespace
}  // namespace nsameta::test
