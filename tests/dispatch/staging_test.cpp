// Staged runs against a "GPU" whose memory the host cannot touch. Each case runs twice on equal arenas, staged on the
// fake GPU and directly on the CPU: afterwards the arenas must be equal to the last byte, guards and gaps included.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "nsameta/nsameta.hpp"
#include "tests/dispatch/plugins/fake_gpu.h"

namespace {

constexpr nsameta_device kGpu{NSAMETA_DEVICE_CUDA, 1};
constexpr size_t kArenaElements = 4096;

const std::string kFolder = NSAMETA_PLUGIN_ROOT "/fake_gpu";

// Before any call of the library, which reads the variable once.
[[maybe_unused]] const int kIsSet = setenv("NSAMETA_BACKEND_DIR", kFolder.c_str(), 1);

nsameta::plugin::fake_gpu_log& gpu_log() {
  void* library = dlopen((kFolder + "/libnsameta_fake_gpu.so").c_str(), RTLD_NOW | RTLD_NOLOAD);
  using get_log_fn = nsameta::plugin::fake_gpu_log* (*)();
  return *reinterpret_cast<get_log_fn>(dlsym(library, "fake_gpu_get_log"))();
}

// Hands out views one after the other, with a guard between them, at the same places whatever the device.
class arena_layout {
 public:
  arena_layout(int32_t* base, nsameta_device device) : base_(base), device_(device) {}

  nsameta_tensor vector(size_t size) { return nsameta::make_tensor(take(size), size, device_); }
  nsameta_tensor vector64(size_t size) {
    next_ += next_ % 2;
    return nsameta::make_tensor(reinterpret_cast<int64_t*>(take(2 * size)), size, device_);
  }
  nsameta_tensor rows(size_t num_rows, size_t num_columns, size_t row_stride) {
    return nsameta::make_tensor_2d(take(num_rows * row_stride), num_rows, num_columns, static_cast<int64_t>(row_stride),
                                   device_);
  }
  // Cell (r, c) lies r * row_stride + c * column_stride after the first one, in either direction.
  nsameta_tensor matrix(int64_t num_rows, int64_t num_columns, int64_t row_stride, int64_t column_stride) {
    const int64_t row_reach = (num_rows - 1) * row_stride;
    const int64_t column_reach = (num_columns - 1) * column_stride;
    int32_t* const lowest = take(static_cast<size_t>(std::abs(row_reach) + std::abs(column_reach) + 1));
    int32_t* const first = lowest - std::min<int64_t>(row_reach, 0) - std::min<int64_t>(column_reach, 0);
    return {first, {num_rows, num_columns}, {row_stride, column_stride}, 2, NSAMETA_INT32, device_};
  }
  // Likewise, with values that tell row and column.
  nsameta_tensor pool(int64_t num_rows, int64_t num_columns, int64_t row_stride, int64_t column_stride,
                      std::vector<int32_t>* host_arena) {
    const nsameta_tensor view = matrix(num_rows, num_columns, row_stride, column_stride);
    const int64_t first = static_cast<int32_t*>(view.data) - base_;
    for (int64_t r = 0; r < num_rows; ++r) {
      for (int64_t c = 0; c < num_columns; ++c) {
        (*host_arena)[static_cast<size_t>(first + r * row_stride + c * column_stride)] =
            static_cast<int32_t>(1000 * r + c);
      }
    }
    return view;
  }
  // Element i lies `stride` elements after element i - 1, also backwards.
  nsameta_tensor strided(const std::vector<int32_t>& values, int64_t stride, std::vector<int32_t>* host_arena) {
    const size_t step = static_cast<size_t>(std::abs(stride));
    const size_t first = next_ + (stride < 0 ? (values.size() - 1) * step : 0);
    take(values.size() * step);
    for (size_t i = 0; i < values.size(); ++i) {
      (*host_arena)[first + static_cast<size_t>(static_cast<int64_t>(i) * stride)] = values[i];
    }
    return nsameta::make_tensor(base_ + first, values.size(), device_, stride);
  }

 private:
  int32_t* take(size_t size) {
    int32_t* const data = base_ + next_;
    next_ += size + 5;
    EXPECT_LT(next_, kArenaElements);
    return data;
  }

  int32_t* base_;
  nsameta_device device_;
  size_t next_ = 3;
};

using build_fn = std::function<nsameta::build_metadata_args(arena_layout&, std::vector<int32_t>* values)>;

class staging : public testing::Test {
 protected:
  std::vector<int32_t> poisoned() const {
    std::vector<int32_t> arena(kArenaElements);
    std::iota(arena.begin(), arena.end(), -1'000'000);
    return arena;
  }

  std::vector<int32_t> download() const {
    std::vector<int32_t> arena(kArenaElements);
    gpu_.copy_to_host(arena.data(), memory_.data(), arena.size() * sizeof(int32_t));
    return arena;
  }

  // Runs `build` both ways, one-shot and by plan, for the first `batch` requests.
  void expect_equal(const build_fn& build, int32_t batch = -1) {
    for (const bool by_plan : {false, true}) {
      SCOPED_TRACE(by_plan ? "plan" : "one-shot");
      std::vector<int32_t> host = poisoned();
      arena_layout host_layout(host.data(), nsameta::kCpuDevice);
      auto host_args = build(host_layout, &host);
      std::vector<int32_t> upload = poisoned();
      arena_layout gpu_layout(memory_.as<int32_t>(), kGpu);
      auto gpu_args = build(gpu_layout, &upload);
      gpu_.copy_to_device(memory_.data(), upload.data(), upload.size() * sizeof(int32_t));
      const std::vector<int32_t> before = host;
      if (by_plan) {
        nsameta::plan(cpu_, host_args).run(nullptr, batch);
        nsameta::plan(gpu_, gpu_args).run(nullptr, batch);
      } else {
        if (batch >= 0) host_args.batch = gpu_args.batch = batch;
        cpu_.build_metadata(host_args);
        gpu_.build_metadata(gpu_args);
      }
      EXPECT_NE(host, before) << "the case writes nothing";
      EXPECT_EQ(download(), host);
      EXPECT_EQ(gpu_.fault().check, cpu_.fault().check);
      EXPECT_EQ(gpu_.fault().value, cpu_.fault().value);
    }
  }

  nsameta::context cpu_{nsameta::kCpuDevice, "cpu"};
  nsameta::context gpu_{kGpu, "cpu"};
  nsameta::device_buffer memory_{gpu_, kArenaElements * sizeof(int32_t)};
};

// All outputs; token arrays hold 24, request arrays 8.
void add_outputs(arena_layout& layout, nsameta::build_metadata_args* args, size_t num_columns) {
  args->out.seqlens_expanded = layout.vector(24);
  args->out.nsa_cache_seqlens = layout.vector(24);
  args->out.nsa_cu_seqlens_k = layout.vector(25);
  args->out.cache_seqlens = layout.vector(8);
  args->out.cu_seqlens_k = layout.vector(9);
  args->out.cu_seqlens_q = layout.vector(9);
  args->out.token_to_batch_idx = layout.vector(24);
  args->out.positions = layout.vector64(24);
  args->out.topk_indices_offset = layout.vector(24);
  args->out.indexer_ks = layout.vector(24);
  args->out.indexer_ke = layout.vector(24);
  args->out.paged_mqa_ctx_lens_2d = layout.rows(8, num_columns, num_columns + 3);
  args->out.total_tokens = layout.vector(1);
}

build_fn ragged(const std::vector<int32_t>& seq_lens, const std::vector<int32_t>& extend_seq_lens, int32_t tail,
                int64_t stride) {
  return [=](arena_layout& layout, std::vector<int32_t>* values) {
    nsameta::build_metadata_args args;
    args.mode = NSAMETA_MODE_EXTEND;
    args.topk = 16;
    args.tail = tail;
    args.seq_lens = layout.strided(seq_lens, stride, values);
    args.extend_seq_lens = layout.strided(extend_seq_lens, stride, values);
    add_outputs(layout, &args, 2);
    return args;
  };
}

TEST_F(staging, context_says_so) {
  EXPECT_TRUE(gpu_.is_staged());
  EXPECT_STREQ(gpu_.backend(), "cpu");
  EXPECT_EQ(gpu_.device().type, NSAMETA_DEVICE_CUDA);
  EXPECT_EQ(gpu_.device().id, 1);
}

TEST_F(staging, a_plan_explains_the_cpu_without_reading_the_device) {
  std::vector<int32_t> upload = poisoned();
  arena_layout layout(memory_.as<int32_t>(), kGpu);
  const auto args = ragged({20, 7, 31, 5}, {3, 1, 6, 2}, NSAMETA_TAIL_KEEP, 1)(layout, &upload);
  const nsameta::plan staged(gpu_, args);
  const auto before = gpu_log();
  const std::string text = staged.explain();
  EXPECT_EQ(gpu_log().bytes_read, before.bytes_read);
  EXPECT_EQ(text.rfind("backend: cpu\n", 0), 0U) << text;
  EXPECT_NE(text.find("token_path: one_thread\n"), std::string::npos) << text;
  EXPECT_EQ(gpu_.tunables().size(), cpu_.tunables().size());
  gpu_.set_tunable("min_parallel_bytes", 0);
  EXPECT_NE(staged.explain().find("token_path: all_threads\n"), std::string::npos);
  EXPECT_EQ(gpu_.num_launches(), 0U);
}

TEST_F(staging, a_backend_without_tunables_explains_nothing) {
  const nsameta::context owner(kGpu, "fake_gpu");
  EXPECT_TRUE(owner.tunables().empty());
  EXPECT_EQ(nsameta_context_set_tunable(owner.get(), "x", 1), NSAMETA_INVALID_ARGUMENT);
  EXPECT_STREQ(nsameta_last_error_message(), "x is not a tunable of backend fake_gpu");
  std::vector<int32_t> upload = poisoned();
  arena_layout layout(memory_.as<int32_t>(), kGpu);
  const nsameta::plan plan(owner, ragged({20, 7}, {3, 1}, NSAMETA_TAIL_KEEP, 1)(layout, &upload));
  char text[64];
  EXPECT_EQ(nsameta_plan_explain(plan.get(), -1, -1, -1, text, sizeof(text), nullptr), NSAMETA_UNSUPPORTED);
  EXPECT_STREQ(nsameta_last_error_message(), "backend fake_gpu does not explain build_metadata");
}

TEST_F(staging, ragged_with_every_tail) {
  for (const int32_t tail : {NSAMETA_TAIL_KEEP, NSAMETA_TAIL_ZERO, NSAMETA_TAIL_LAST, NSAMETA_TAIL_MINUS_ONE}) {
    SCOPED_TRACE(tail);
    expect_equal(ragged({20, 7, 31, 5}, {3, 1, 6, 2}, tail, 1));
  }
}

TEST_F(staging, strides_of_every_kind) {
  for (const int64_t stride : {1, 3, -1, -4}) {
    SCOPED_TRACE(stride);
    expect_equal(ragged({20, 7, 31, 5}, {3, 1, 6, 2}, NSAMETA_TAIL_KEEP, stride));
    expect_equal(ragged({20, 7, 31, 5}, {3, 1, 6, 2}, NSAMETA_TAIL_KEEP, stride), 2);
  }
}

TEST_F(staging, wide_inputs_and_stride_zero) {
  expect_equal([](arena_layout& layout, std::vector<int32_t>* values) {
    nsameta::build_metadata_args args;
    args.mode = NSAMETA_MODE_TARGET_VERIFY;
    args.tokens_per_request = 3;
    args.topk = 16;
    args.batch = 5;
    const nsameta_tensor pair = layout.strided({1234, 0}, 1, values);
    args.seq_lens = pair;
    args.seq_lens.shape[0] = 5;
    args.seq_lens.strides[0] = 0;
    add_outputs(layout, &args, 3);
    return args;
  });
}

TEST_F(staging, empty_batch_and_no_tokens) {
  expect_equal(ragged({20, 7, 31, 5}, {3, 1, 6, 2}, NSAMETA_TAIL_ZERO, 1), 0);
  expect_equal(ragged({20, 7, 31, 5}, {0, 0, 0, 0}, NSAMETA_TAIL_ZERO, 1));
}

// One element is all that there is of extend_seq_lens; the fake GPU refuses to read past its allocation.
TEST_F(staging, static_width_reads_one_element) {
  const auto build = [](arena_layout& layout, std::vector<int32_t>* values) {
    nsameta::build_metadata_args args;
    args.mode = NSAMETA_MODE_DRAFT_EXTEND;
    args.static_width = 1;
    args.topk = 16;
    args.seq_lens = layout.strided({9, 2, 30, 8, 1}, 2, values);
    args.extend_seq_lens = layout.strided({4}, 1, values);
    add_outputs(layout, &args, 4);
    return args;
  };
  expect_equal(build);
  expect_equal(build, 0);
}

TEST_F(staging, tokens_over_capacity_are_not_written) {
  for (const int32_t tail : {NSAMETA_TAIL_KEEP, NSAMETA_TAIL_ZERO}) {
    expect_equal([tail](arena_layout& layout, std::vector<int32_t>* values) {
      auto args = ragged({90, 70, 50, 40}, {9, 9, 9, 9}, tail, 1)(layout, values);
      args.out.positions.shape[0] = 10;
      return args;
    });
    EXPECT_EQ(gpu_.fault().check, NSAMETA_CHECK_TOKENS_OVER_CAPACITY);
    EXPECT_EQ(gpu_.fault().value, 36);
    cpu_.clear_fault();
    gpu_.clear_fault();
  }
}

TEST_F(staging, negative_lengths_are_reported_by_the_cpu) {
  expect_equal(ragged({20, -7, 31, 5}, {3, 1, 6, 2}, NSAMETA_TAIL_KEEP, 1));
  EXPECT_EQ(gpu_.fault().check, NSAMETA_CHECK_NEGATIVE_KV);
  EXPECT_EQ(gpu_.fault().request_idx, 1);
}

struct strides {
  int64_t row;
  int64_t column;
};

// Every output that reads req_to_token, for requests of up to 37 keys in a pool of 6 rows and 40 columns.
build_fn slots(const std::vector<int32_t>& pool_indices, int32_t table_rows, strides pool, strides table) {
  return [=](arena_layout& layout, std::vector<int32_t>* values) {
    nsameta::build_metadata_args args;
    args.mode = NSAMETA_MODE_EXTEND;
    args.topk = 16;
    args.page_size = 4;
    args.table_rows = table_rows;
    args.table_width = NSAMETA_TABLE_EXACT;
    args.seq_lens = layout.strided({20, 0, 37, 5}, 1, values);
    args.extend_seq_lens = layout.strided({3, 1, 0, 2}, 1, values);
    args.req_pool_indices = layout.strided(pool_indices, 2, values);
    args.req_to_token = layout.pool(6, 40, pool.row, pool.column, values);
    args.out.page_table_1 = layout.matrix(6, 36, table.row, table.column);
    args.out.real_page_table = layout.matrix(6, 10, table.row, table.column);
    args.out.page_table_1_flattened = layout.vector(80);
    args.out.out_slots = layout.vector(9);
    return args;
  };
}

TEST_F(staging, slots_through_strides_of_every_kind) {
  for (const int32_t rows : {NSAMETA_TABLE_ROWS_PER_REQUEST, NSAMETA_TABLE_ROWS_PER_TOKEN}) {
    for (const strides pool : {strides{40, 1}, strides{1, 6}, strides{-43, 1}, strides{1, -7}, strides{1, 20}}) {
      expect_equal(slots({3, 0, 5, 2}, rows, pool, {40, 1}));
    }
    for (const strides table : {strides{36, 1}, strides{-39, 1}, strides{1, 7}, strides{-1, 6}, strides{75, 2}}) {
      expect_equal(slots({3, 0, 5, 2}, rows, {40, 1}, table));
      expect_equal(slots({3, 0, 5, 2}, rows, {40, 1}, table), 2);
    }
  }
}

TEST_F(staging, requests_share_a_pool_row) {
  expect_equal(slots({4, 4, 4, 4}, NSAMETA_TABLE_ROWS_PER_REQUEST, {40, 1}, {40, 1}));
}

// More requests than the pool has rows: an index outside it must not become a row of the host copy.
TEST_F(staging, pool_rows_outside_stay_outside) {
  expect_equal([](arena_layout& layout, std::vector<int32_t>* values) {
    auto args = slots({1, 0, 2, 1}, NSAMETA_TABLE_ROWS_PER_REQUEST, {40, 1}, {40, 1})(layout, values);
    args.req_to_token.shape[0] = 2;
    return args;
  });
  EXPECT_EQ(gpu_.fault().check, NSAMETA_CHECK_POOL_ROW);
  EXPECT_EQ(gpu_.fault().request_idx, 2);
  EXPECT_EQ(gpu_.fault().value, 2);
}

TEST_F(staging, keys_beyond_the_context) {
  expect_equal([](arena_layout& layout, std::vector<int32_t>* values) {
    auto args = slots({3, 0, 5, 2}, NSAMETA_TABLE_ROWS_PER_REQUEST, {40, 1}, {40, 1})(layout, values);
    args.table_width = NSAMETA_TABLE_LIVE_128;
    args.req_to_token.shape[1] = 18;
    return args;
  });
  EXPECT_EQ(gpu_.fault().check, NSAMETA_CHECK_KV_OVER_CONTEXT);
}

TEST_F(staging, capacities_that_are_too_small) {
  expect_equal([](arena_layout& layout, std::vector<int32_t>* values) {
    auto args = slots({3, 0, 5, 2}, NSAMETA_TABLE_ROWS_PER_TOKEN, {40, 1}, {40, 1})(layout, values);
    args.out.page_table_1.shape[0] = 4;
    args.out.page_table_1_flattened.shape[0] = 31;
    args.out.out_slots.shape[0] = 5;
    return args;
  });
}

TEST_F(staging, schedule_plan_and_more_outputs) {
  std::deque<nsameta_metadata_outputs> all_more;
  for (const int32_t clusters : {0, 6}) {  // of 6 tokens: a plan, and none
    expect_equal([&](arena_layout& layout, std::vector<int32_t>* values) {
      auto args = slots({3, 0, 5, 2}, NSAMETA_TABLE_ROWS_PER_REQUEST, {40, 1}, {40, 1})(layout, values);
      args.topk_plan_clusters = clusters;
      args.topk_plan_threshold = 4;
      args.out.paged_mqa_schedule = layout.rows(8, 2, 2);
      args.out.topk_plan = layout.rows(9, 2, 2);
      auto& more = all_more.emplace_back();
      more.paged_mqa_schedule = layout.rows(3, 2, 2);
      more.topk_plan = layout.rows(2, 2, 2);
      more.page_table_1 = layout.matrix(4, 12, 1, 5);
      more.cache_seqlens = layout.vector(4);
      more.positions = layout.vector64(7);
      args.more_outputs = &more;
      args.num_more_outputs = 1;
      return args;
    });
  }
}

TEST_F(staging, true_batch_of_the_device) {
  for (const int32_t num_requests : {3, 0, 9, -2}) {
    for (const int32_t tail : {NSAMETA_TAIL_KEEP, NSAMETA_TAIL_ZERO, NSAMETA_TAIL_LAST, NSAMETA_TAIL_MINUS_ONE}) {
      expect_equal([=](arena_layout& layout, std::vector<int32_t>* values) {
        auto args = slots({3, 0, 5, 2}, NSAMETA_TABLE_ROWS_PER_REQUEST, {40, 1}, {40, 1})(layout, values);
        args.tail = tail;
        args.num_requests = layout.strided({num_requests}, 1, values);
        add_outputs(layout, &args, 2);
        return args;
      });
    }
  }
}

TEST_F(staging, only_needed_slots_travel) {
  std::vector<int32_t> upload = poisoned();
  arena_layout layout(memory_.as<int32_t>(), kGpu);
  auto args = slots({3, 0, 5, 2}, NSAMETA_TABLE_ROWS_PER_REQUEST, {40, 1}, {40, 1})(layout, &upload);
  args.out.page_table_1 = args.out.real_page_table = args.out.page_table_1_flattened = {};
  gpu_.copy_to_device(memory_.data(), upload.data(), upload.size() * sizeof(int32_t));
  nsameta::plan plan(gpu_, args);
  const auto before = gpu_log();
  plan.run(nullptr);
  // Two lengths of 4 requests, the indices with what lies between, and the new tokens of requests 0 and 3.
  EXPECT_EQ(gpu_log().bytes_read - before.bytes_read, (4U + 4U + 7U + 3U + 2U) * 4U);
  EXPECT_EQ(gpu_log().bytes_written - before.bytes_written, 6U * 4U);
}

TEST_F(staging, only_what_is_wanted_travels) {
  std::vector<int32_t> upload = poisoned();
  arena_layout layout(memory_.as<int32_t>(), kGpu);
  nsameta::build_metadata_args args;
  args.mode = NSAMETA_MODE_EXTEND;
  args.topk = 16;
  args.seq_lens = layout.strided({20, 7, 31, 5}, 1, &upload);
  args.extend_seq_lens = layout.strided({3, 1, 6, 2}, 1, &upload);
  args.out.seqlens_expanded = layout.vector(24);
  args.out.paged_mqa_ctx_lens_2d = layout.rows(8, 2, 5);
  gpu_.copy_to_device(memory_.data(), upload.data(), upload.size() * sizeof(int32_t));
  nsameta::plan plan(gpu_, args);
  const auto before = gpu_log();
  plan.run(nullptr, 3);
  const auto& after = gpu_log();
  EXPECT_EQ(after.bytes_read - before.bytes_read, (3U + 3U) * 4U);
  EXPECT_EQ(after.bytes_written - before.bytes_written, (10U + 3U * 2U) * 4U);
  EXPECT_EQ(after.num_writes - before.num_writes, 1U + 3U);  // the gaps between rows are not written
}

TEST_F(staging, a_capture_is_refused_with_the_cause) {
  const nsameta::stream stream(gpu_);
  std::vector<int32_t> upload = poisoned();
  arena_layout layout(memory_.as<int32_t>(), kGpu);
  const auto args = ragged({20, 7}, {3, 1}, NSAMETA_TAIL_KEEP, 1)(layout, &upload);
  gpu_.copy_to_device(memory_.data(), upload.data(), upload.size() * sizeof(int32_t));
  nsameta::plan plan(gpu_, args);
  nsameta_graph* graph = nullptr;
  ASSERT_EQ(nsameta_graph_begin(gpu_.get(), stream.get()), NSAMETA_OK);
  const auto before = gpu_log();
  constexpr const char* kMessage =
      "build_metadata runs staged on backend cpu for cuda:1 (backend argument \"cpu\"), which synchronises and cannot "
      "be "
      "captured in a graph; lift that choice, or run outside the capture";
  EXPECT_EQ(nsameta_plan_run(plan.get(), -1, -1, -1, stream.get()), NSAMETA_UNSUPPORTED);
  EXPECT_STREQ(nsameta_last_error_message(), kMessage);
  EXPECT_EQ(nsameta_build_metadata(gpu_.get(), &args, stream.get()), NSAMETA_UNSUPPORTED);
  EXPECT_STREQ(nsameta_last_error_message(), kMessage);
  EXPECT_EQ(gpu_log().bytes_read, before.bytes_read);
  EXPECT_EQ(gpu_log().num_writes, before.num_writes);
  EXPECT_EQ(gpu_.num_launches(), 0U);
  ASSERT_EQ(nsameta_graph_end(gpu_.get(), stream.get(), &graph), NSAMETA_OK);
  nsameta_graph_destroy(graph);
  plan.run(stream.get());
  EXPECT_EQ(gpu_.num_launches(), 1U);
}

TEST_F(staging, a_failing_copy_is_passed_on_with_the_owner_s_name) {
  nsameta::build_metadata_args args;
  args.topk = 16;
  std::vector<int32_t> host(8);
  args.seq_lens = nsameta::make_tensor(host.data(), 4, kGpu);  // not the fake GPU's memory
  args.out.cache_seqlens = nsameta::make_tensor(host.data() + 4, 4, kGpu);
  EXPECT_EQ(nsameta_build_metadata(gpu_.get(), &args, nullptr), NSAMETA_DEVICE_ERROR);
  EXPECT_STREQ(nsameta_last_error_message(), "backend fake_gpu: illegal address");
}

}  // namespace
