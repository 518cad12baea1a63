// Launches whose inputs are the outputs of the launch before, which they may begin beside.
#include <functional>
#include <vector>

#include "tests/support/device_block.h"
#include "tests/support/execution_test.h"
#include "tests/support/handles.h"

namespace nsameta::test {
namespace {

constexpr int kNumLinks = 16;

class build_metadata_chains : public execution_test {
 protected:
  // Link i reads the last token of each request from vector i % 2, and writes all tokens of its own, which see
  // num_queries keys more, to the other. Later tokens are written later: a launch that does not wait reads old ones.
  void check_chain(int64_t batch, int32_t num_queries) {
    device_memory memory(context());
    const auto num_tokens = static_cast<size_t>(batch * num_queries);
    const size_t bytes = num_tokens * sizeof(int32_t);
    void* data = nullptr;
    ASSERT_EQ(memory.at_least(2 * bytes, &data), NSAMETA_OK);
    auto* const first = static_cast<int32_t*>(data);
    int32_t* const vectors[] = {first, first + num_tokens};
    ASSERT_EQ(nsameta_copy_to_device(context(), first, tokens_after(0, batch, num_queries).data(), bytes, stream()),
              NSAMETA_OK);
    const auto launch_all = [&] {
      for (int i = 0; i < kNumLinks; ++i) {
        ASSERT_NO_FATAL_FAILURE(launch(vectors[i % 2], vectors[1 - i % 2], batch, num_queries));
      }
    };
    if (GetParam().kind == execution_kind::graph) {
      ASSERT_NO_FATAL_FAILURE(run_captured(launch_all));
    } else {
      ASSERT_NO_FATAL_FAILURE(launch_all());
    }
    std::vector<int32_t> got(num_tokens);
    ASSERT_EQ(nsameta_copy_to_host(context(), got.data(), first, bytes, stream()), NSAMETA_OK);
    EXPECT_EQ(got, tokens_after(kNumLinks, batch, num_queries)) << "batch " << batch << ", queries " << num_queries;
  }

 private:
  // seqlens_expanded once `num_links` have run: the last token of request r began with r % 4099 keys.
  static std::vector<int32_t> tokens_after(int num_links, int64_t batch, int32_t num_queries) {
    std::vector<int32_t> tokens;
    for (int64_t r = 0; r < batch; ++r) {
      const auto last = static_cast<int32_t>(r % 4099) + num_links * num_queries;
      for (int32_t j = 0; j < num_queries; ++j) tokens.push_back(last - num_queries + 1 + j);
    }
    return tokens;
  }

  void run_captured(const std::function<void()>& launch_all) {
    ASSERT_EQ(nsameta_graph_begin(context(), stream()), NSAMETA_OK);
    launch_all();
    nsameta_graph* captured = nullptr;
    ASSERT_EQ(nsameta_graph_end(context(), stream(), &captured), NSAMETA_OK) << nsameta_last_error_message();
    const graph_handle graph(captured);
    ASSERT_EQ(nsameta_graph_launch(graph.get(), stream()), NSAMETA_OK) << nsameta_last_error_message();
    ASSERT_EQ(nsameta_synchronize(context(), stream()), NSAMETA_OK);
  }

  nsameta_tensor vector_of(int32_t* data, int64_t count, int64_t stride) const {
    return {.data = data,
            .shape = {count, 0},
            .strides = {stride, 0},
            .ndim = 1,
            .dtype = NSAMETA_INT32,
            .device = GetParam().device};
  }

  void launch(int32_t* from, int32_t* to, int64_t batch, int32_t num_queries) {
    nsameta_build_metadata_args args;
    nsameta_build_metadata_args_init(&args);
    args.mode = NSAMETA_MODE_TARGET_VERIFY;
    args.tokens_per_request = num_queries;
    args.topk = 2048;
    args.programmatic_launch = 1;
    args.seq_lens = vector_of(from + num_queries - 1, batch, num_queries);
    args.out.seqlens_expanded = vector_of(to, batch * num_queries, 1);
    ASSERT_EQ(nsameta_build_metadata(context(), &args, stream()), NSAMETA_OK) << nsameta_last_error_message();
  }
};
NSAMETA_TEST_ALL_EXECUTIONS(build_metadata_chains);

TEST_P(build_metadata_chains, one_token) {
  for (const int64_t batch : {1, 33, 256, 257, 5'000}) ASSERT_NO_FATAL_FAILURE(check_chain(batch, 1));
}

TEST_P(build_metadata_chains, many_tokens) {
  for (const int64_t batch : {1, 32, 256, 300}) ASSERT_NO_FATAL_FAILURE(check_chain(batch, 400));
}

}  // namespace
}  // namespace nsameta::test
