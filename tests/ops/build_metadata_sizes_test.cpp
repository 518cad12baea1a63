// Batches and token counts around the widths that kernels are cut into, and the largest and most uneven ones.
#include "tests/support/execution_test.h"

namespace nsameta::test {
namespace {

class build_metadata_sizes : public execution_test {
 protected:
  // A decode, a verify and two ragged builds of the batch; large ones with less of everything.
  void check_batch(int64_t batch, int max_query) {
    auto decode = decode_case(random_lengths(random_, batch, 0, 9000)).want_all();
    auto verify = verify_case(random_lengths(random_, batch, 0, 9000), max_query).want_all();
    auto ragged = random_ragged_case(random_, NSAMETA_MODE_EXTEND, batch, max_query).want_all();
    auto sparse = random_ragged_case(random_, NSAMETA_MODE_EXTEND, batch, max_query).want_all().with_slack(77);
    for (auto& q : sparse.inputs.extend_seq_lens) {
      if (random_.chance(70)) q = 0;
    }
    sparse.tail = NSAMETA_TAIL_LAST;
    sparse.inputs.kpool = 64;
    SCOPED_TRACE(batch);
    for (const auto& c : {decode, verify, ragged, sparse}) check(c);
  }

  random_source random_{40};
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_sizes);

TEST_P(build_metadata_sizes, batches_around_warps_and_blocks) {
  for (const int64_t batch : {0, 1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513}) {
    check_batch(batch, 6);
    if (HasFatalFailure()) return;
  }
}

TEST_P(build_metadata_sizes, slots_of_batches_around_warps_and_blocks) {
  for (const int64_t batch : {1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1025, 2049}) {
    const int64_t longest = batch < 300 ? 300 : 20;
    const auto lengths = [&] { return random_lengths(random_, batch, 0, longest); };
    auto decode = decode_case(lengths()).with_pool(random_).want_all();
    auto verify = verify_case(lengths(), 3).with_pool(random_).want_all();
    auto ragged = ragged_case(NSAMETA_MODE_EXTEND, lengths(), random_lengths(random_, batch, 0, 6));
    ragged.with_pool(random_).want_all().with_slack(77);
    ragged.tail = NSAMETA_TAIL_LAST;
    SCOPED_TRACE(batch);
    for (const auto& c : {decode, verify, ragged}) check(c);
    if (HasFatalFailure()) return;
  }
}

TEST_P(build_metadata_sizes, batches_of_thousands) {
  for (const int64_t batch : {1023, 1024, 1025, 2047, 2048, 2049, 4095, 4096, 4097}) {
    check_batch(batch, 3);
    if (HasFatalFailure()) return;
  }
}

TEST_P(build_metadata_sizes, batches_around_65536) {
  for (const int64_t batch : {65'535, 65'536, 65'537}) {
    auto c = random_ragged_case(random_, NSAMETA_MODE_EXTEND, batch, 3).want_all();
    for (auto& q : c.inputs.extend_seq_lens) {
      if (random_.chance(30)) q = 0;
    }
    check(c);
    check(decode_case(random_lengths(random_, batch, 0, 200'000)).want_all());
  }
}

TEST_P(build_metadata_sizes, token_counts_around_blocks_in_one_request) {
  for (const int64_t around : {32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16'384}) {
    for (int64_t tokens = around - 1; tokens <= around + 1; ++tokens) {
      auto c = ragged_case(NSAMETA_MODE_EXTEND, {tokens + 1000}, {tokens}).want_all();
      check(c);
    }
    if (HasFatalFailure()) return;
  }
}

TEST_P(build_metadata_sizes, long_request_at_every_place) {
  for (const size_t place : {0U, 1U, 500U, 998U, 999U}) {
    auto c = random_ragged_case(random_, NSAMETA_MODE_EXTEND, 1000, 1).want_all();
    c.inputs.extend_seq_lens[place] = 40'000;
    c.inputs.seq_lens[place] += 40'000;
    check(c);
  }
}

TEST_P(build_metadata_sizes, one_million_tokens_beside_60000_single_ones) {
  auto c = random_ragged_case(random_, NSAMETA_MODE_EXTEND, 60'001, 1).want_all();
  c.inputs.extend_seq_lens[30'000] = 1'000'000;
  c.inputs.seq_lens[30'000] = 1'048'576;
  check(c);
}

TEST_P(build_metadata_sizes, few_tokens_in_many_empty_requests) {
  auto c = ragged_case(NSAMETA_MODE_EXTEND, std::vector<int64_t>(50'000, 12), std::vector<int64_t>(50'000, 0));
  for (const size_t r : {17U, 4096U, 4097U, 33'333U, 49'999U}) c.inputs.extend_seq_lens[r] = 3;
  check(c.want_all());
}

TEST_P(build_metadata_sizes, sixteen_million_tokens) {
  auto c = ragged_case(NSAMETA_MODE_EXTEND, random_lengths(random_, 65'536, 256, 100'000),
                       std::vector<int64_t>(65'536, 256));
  c.want({output_id::seqlens_expanded, output_id::nsa_cu_seqlens_k});
  check_launch(c, [&](const bound_case& b) { return nsameta_build_metadata(context(), &b.args(), stream()); });
}

}  // namespace
}  // namespace nsameta::test
