// The C ABI as a user has it: null pointers, ranges, queries, presets, plans, device services of the CPU.
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "nsameta/nsameta.hpp"

namespace {

#define NSAMETA_EXPECT_REFUSED(call, status, message) \
  EXPECT_EQ((call), (status));                        \
  EXPECT_STREQ(nsameta_last_error_message(), (message))

constexpr int kNumOps = 0
#define NSAMETA_OP(name) +1
#include "core/ops.def"
#undef NSAMETA_OP
    ;

int32_t find_backend(const char* name) {
  for (int32_t i = 0; i < nsameta_num_backends(); ++i) {
    nsameta_backend_info info{};
    EXPECT_EQ(nsameta_get_backend_info(i, &info), NSAMETA_OK);
    if (std::strcmp(info.name, name) == 0) return i;
  }
  return -1;
}

// Draft-extend of three requests on the CPU.
class api : public testing::Test {
 protected:
  static nsameta_tensor view(std::vector<int32_t>& values) {
    return nsameta::make_tensor(values.data(), values.size());
  }

  nsameta::build_metadata_args arguments() {
    nsameta::build_metadata_args args;
    args.mode = NSAMETA_MODE_DRAFT_EXTEND;
    args.clamp = NSAMETA_CLAMP_OFF;
    args.topk = 6;
    args.seq_lens = view(seq_lens_);
    args.extend_seq_lens = view(extend_seq_lens_);
    args.out.seqlens_expanded = view(expanded_);
    return args;
  }

  nsameta::context context_{nsameta::kCpuDevice, "cpu"};
  std::vector<int32_t> seq_lens_{10, 2, 7};
  std::vector<int32_t> extend_seq_lens_{2, 3, 1};
  std::vector<int32_t> expanded_ = std::vector<int32_t>(8, -77);
  std::vector<int32_t> clamped_ = std::vector<int32_t>(8, -77);
  const std::vector<int32_t> expected_expanded_{9, 10, 0, 1, 2, 7, -77, -77};
  const std::vector<int32_t> expected_clamped_{6, 6, 0, 1, 2, 6, -77, -77};
};

TEST(api_basics, versions_and_names) {
  EXPECT_STREQ(nsameta_version_string(), "0.1.0");
  EXPECT_EQ(nsameta_abi_version(), static_cast<uint32_t>(NSAMETA_ABI_VERSION));
  EXPECT_NE(std::string(nsameta_build_string()), "");
  EXPECT_STREQ(nsameta_status_name(NSAMETA_BACKEND_UNAVAILABLE), "NSAMETA_BACKEND_UNAVAILABLE");
  EXPECT_STREQ(nsameta_status_name(static_cast<nsameta_status>(7)), "unknown nsameta_status");
}

TEST(api_basics, backends_and_devices) {
  const int32_t cpu_idx = find_backend("cpu");
  ASSERT_GE(cpu_idx, 0);
  EXPECT_GE(find_backend("cuda"), 0);
  EXPECT_GE(find_backend("hip"), 0);
  nsameta_backend_info info{};
  ASSERT_EQ(nsameta_get_backend_info(cpu_idx, &info), NSAMETA_OK);
  EXPECT_EQ(info.usable, 1);
  EXPECT_STREQ(info.reason, "");
  EXPECT_STREQ(info.path, "");
  EXPECT_EQ(info.num_devices, 1);
  nsameta_device_info device{};
  ASSERT_EQ(nsameta_get_device_info(cpu_idx, 0, &device), NSAMETA_OK);
  EXPECT_EQ(device.device.type, NSAMETA_DEVICE_CPU);
  EXPECT_EQ(device.warp_width, 1);

  const int32_t count = nsameta_num_backends();
  const std::string range = "must be in [0, " + std::to_string(count) + ")";
  NSAMETA_EXPECT_REFUSED(nsameta_get_backend_info(count, &info), NSAMETA_INVALID_ARGUMENT,
                         ("backend_idx=" + std::to_string(count) + " " + range).c_str());
  NSAMETA_EXPECT_REFUSED(nsameta_get_backend_info(-1, &info), NSAMETA_INVALID_ARGUMENT,
                         ("backend_idx=-1 " + range).c_str());
  NSAMETA_EXPECT_REFUSED(nsameta_get_device_info(cpu_idx, 1, &device), NSAMETA_INVALID_ARGUMENT,
                         "device_idx=1 must be in [0, 1), the devices of backend cpu");
  NSAMETA_EXPECT_REFUSED(nsameta_get_backend_info(0, nullptr), NSAMETA_INVALID_ARGUMENT, "info=NULL is not allowed");
}

TEST(api_basics, selection_of_host_memory) {
  nsameta_selection chosen{};
  ASSERT_EQ(nsameta_select_backend({NSAMETA_DEVICE_CPU, 0}, nullptr, &chosen), NSAMETA_OK);
  EXPECT_STREQ(chosen.backend, "cpu");
  EXPECT_EQ(chosen.staged, 0);
  ASSERT_EQ(nsameta_select_backend({NSAMETA_DEVICE_CPU, 0}, "nonsense", &chosen), NSAMETA_OK);
  EXPECT_EQ(chosen.backend, nullptr);
  EXPECT_EQ(std::string(chosen.reason).rfind("backend argument \"nonsense\" is not a backend. Backends: ", 0), 0U);
  EXPECT_EQ(nsameta_select_backend({NSAMETA_DEVICE_CPU, 3}, nullptr, &chosen), NSAMETA_INVALID_ARGUMENT);
}

TEST(api_basics, null_pointers) {
  nsameta_context* context = nullptr;
  nsameta_plan* plan = nullptr;
  nsameta_fault fault{};
  nsameta::build_metadata_args args;
  void* data = nullptr;
  NSAMETA_EXPECT_REFUSED(nsameta_context_create(nsameta::kCpuDevice, nullptr, nullptr), NSAMETA_INVALID_ARGUMENT,
                         "context=NULL is not allowed");
  NSAMETA_EXPECT_REFUSED(nsameta_context_error(nullptr, &fault), NSAMETA_INVALID_ARGUMENT,
                         "context=NULL is not allowed");
  NSAMETA_EXPECT_REFUSED(nsameta_context_clear_error(nullptr), NSAMETA_INVALID_ARGUMENT, "context=NULL is not allowed");
  NSAMETA_EXPECT_REFUSED(nsameta_build_metadata(nullptr, &args, nullptr), NSAMETA_INVALID_ARGUMENT,
                         "context=NULL is not allowed");
  NSAMETA_EXPECT_REFUSED(nsameta_plan_create(nullptr, NSAMETA_OP_BUILD_METADATA, &args, &plan),
                         NSAMETA_INVALID_ARGUMENT, "context=NULL is not allowed");
  NSAMETA_EXPECT_REFUSED(nsameta_plan_run(nullptr, -1, -1, -1, nullptr), NSAMETA_INVALID_ARGUMENT,
                         "plan=NULL is not allowed");
  NSAMETA_EXPECT_REFUSED(nsameta_device_alloc(nullptr, 1, &data), NSAMETA_INVALID_ARGUMENT,
                         "context=NULL is not allowed");
  NSAMETA_EXPECT_REFUSED(nsameta_graph_launch(nullptr, nullptr), NSAMETA_INVALID_ARGUMENT, "graph=NULL is not allowed");
  nsameta_context_destroy(context);
  nsameta_plan_destroy(plan);
  nsameta_graph_destroy(nullptr);
  nsameta_build_metadata_args_init(nullptr);
  EXPECT_STREQ(nsameta_context_backend(nullptr), "");
  EXPECT_EQ(nsameta_context_num_launches(nullptr), 0U);
}

TEST_F(api, presets) {
  const nsameta_tensor extend = view(extend_seq_lens_);
  const nsameta_tensor lens = view(seq_lens_);
  const nsameta_tensor expanded = view(expanded_);
  const nsameta_tensor clamped = view(clamped_);
  ASSERT_EQ(
      nsameta_fill_draft_extend_metadata_fused_simple(context_.get(), &extend, &lens, 6, &expanded, &clamped, nullptr),
      NSAMETA_OK)
      << nsameta_last_error_message();
  EXPECT_EQ(expanded_, expected_expanded_);
  EXPECT_EQ(clamped_, expected_clamped_);

  std::vector<int32_t> total{-1};
  const nsameta_tensor total_tensor = view(total);
  expanded_.assign(8, -77);
  ASSERT_EQ(nsameta_fill_draft_extend_metadata_inplace(context_.get(), &extend, &lens, 6, &expanded, &clamped,
                                                       &total_tensor, nullptr),
            NSAMETA_OK);
  EXPECT_EQ(expanded_, expected_expanded_);
  EXPECT_EQ(total.front(), 6);

  std::vector<int32_t> cache(3, -1);
  std::vector<int32_t> cu(4, -1);
  const nsameta_tensor cache_tensor = view(cache);
  const nsameta_tensor cu_tensor = view(cu);
  clamped_.assign(8, -77);
  ASSERT_EQ(nsameta_fill_draft_extend_metadata_fused(context_.get(), &extend, &lens, 6, &expanded, &clamped,
                                                     &cache_tensor, &cu_tensor, nullptr),
            NSAMETA_OK);
  EXPECT_EQ(clamped_, expected_clamped_);
  EXPECT_EQ(cache, seq_lens_);
  EXPECT_EQ(cu, (std::vector<int32_t>{0, 10, 12, 19}));
}

TEST_F(api, presets_need_their_tensors) {
  const nsameta_tensor extend = view(extend_seq_lens_);
  const nsameta_tensor lens = view(seq_lens_);
  const nsameta_tensor expanded = view(expanded_);
  const nsameta_tensor absent{};
  NSAMETA_EXPECT_REFUSED(
      nsameta_fill_draft_extend_metadata_fused_simple(context_.get(), &extend, &lens, 6, &expanded, nullptr, nullptr),
      NSAMETA_INVALID_ARGUMENT, "nsa_cache_seqlens=NULL must be a tensor");
  NSAMETA_EXPECT_REFUSED(
      nsameta_fill_draft_extend_metadata_fused_simple(context_.get(), nullptr, &lens, 6, &expanded, &expanded, nullptr),
      NSAMETA_INVALID_ARGUMENT, "extend_seq_lens=NULL must be a tensor");
  NSAMETA_EXPECT_REFUSED(nsameta_fill_draft_extend_metadata_fused(context_.get(), &extend, &lens, 6, &expanded,
                                                                  &expanded, &absent, nullptr, nullptr),
                         NSAMETA_INVALID_ARGUMENT, "cache_seqlens=NULL must be a tensor");
  EXPECT_EQ(expanded_, std::vector<int32_t>(8, -77));
}

TEST_F(api, plans_check_what_a_run_says) {
  nsameta::plan plan(context_, arguments());
  NSAMETA_EXPECT_REFUSED(nsameta_plan_run(plan.get(), 4, -1, -1, nullptr), NSAMETA_INVALID_ARGUMENT,
                         "batch=4 must be in [-1, 3], the batch of the plan");
  NSAMETA_EXPECT_REFUSED(nsameta_plan_run(plan.get(), -2, -1, -1, nullptr), NSAMETA_INVALID_ARGUMENT,
                         "batch=-2 must be in [-1, 3], the batch of the plan");
  NSAMETA_EXPECT_REFUSED(nsameta_plan_run(plan.get(), 1, -2, -1, nullptr), NSAMETA_INVALID_ARGUMENT,
                         "num_tokens_bound=-2 must be -1 or more");
  NSAMETA_EXPECT_REFUSED(nsameta_plan_run(plan.get(), 1, -1, -2, nullptr), NSAMETA_INVALID_ARGUMENT,
                         "max_kv_bound=-2 must be -1 or more");
  EXPECT_EQ(expanded_, std::vector<int32_t>(8, -77));
  EXPECT_EQ(context_.num_launches(), 0U);
  plan.run(nullptr, 1);
  EXPECT_EQ(expanded_, (std::vector<int32_t>{9, 10, -77, -77, -77, -77, -77, -77}));
  plan.run();  // a smaller run before leaves no trace
  EXPECT_EQ(expanded_, expected_expanded_);
  EXPECT_EQ(context_.num_launches(), 2U);
}

TEST_F(api, plans_check_their_arguments) {
  nsameta_plan* plan = nullptr;
  const auto args = arguments();
  const std::string op = std::to_string(kNumOps);
  const auto no_op = std::bit_cast<nsameta_op>(kNumOps);  // a cast of a constant out of range would be diagnosed
  NSAMETA_EXPECT_REFUSED(nsameta_plan_create(context_.get(), no_op, &args, &plan), NSAMETA_INVALID_ARGUMENT,
                         ("op=" + op + " must be in [0, " + op + ")").c_str());
  EXPECT_EQ(nsameta_plan_create(context_.get(), NSAMETA_OP_BUILD_METADATA, nullptr, &plan), NSAMETA_INVALID_ARGUMENT);
  auto no_topk = arguments();
  no_topk.topk = 0;
  EXPECT_EQ(nsameta_plan_create(context_.get(), NSAMETA_OP_BUILD_METADATA, &no_topk, &plan), NSAMETA_INVALID_ARGUMENT);
  EXPECT_EQ(plan, nullptr);
}

TEST_F(api, faults_stay_until_cleared) {
  EXPECT_EQ(context_.fault().check, NSAMETA_CHECK_NONE);
  EXPECT_EQ(context_.fault().request_idx, -1);
  seq_lens_[1] = -5;
  context_.build_metadata(arguments());
  seq_lens_[1] = 2;
  context_.build_metadata(arguments());
  EXPECT_EQ(context_.fault().check, NSAMETA_CHECK_NEGATIVE_KV);
  EXPECT_EQ(context_.fault().request_idx, 1);
  EXPECT_EQ(context_.fault().value, -5);
  context_.clear_fault();
  EXPECT_EQ(context_.fault().check, NSAMETA_CHECK_NONE);
  extend_seq_lens_[2] = 100;
  context_.build_metadata(arguments());
  EXPECT_EQ(context_.fault().check, NSAMETA_CHECK_TOKENS_OVER_CAPACITY);
  EXPECT_EQ(context_.fault().value, 105);
}

TEST_F(api, device_services_of_the_cpu) {
  void* data = &seq_lens_;
  ASSERT_EQ(nsameta_device_alloc(context_.get(), 0, &data), NSAMETA_OK);
  EXPECT_EQ(data, nullptr);
  const nsameta::device_buffer buffer(context_, 12);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 256, 0U);
  std::vector<int32_t> back(3);
  context_.copy_to_device(buffer.data(), seq_lens_.data(), 12);
  context_.copy_to_host(back.data(), buffer.data(), 12);
  EXPECT_EQ(back, seq_lens_);
  context_.copy_to_host(nullptr, nullptr, 0);
  NSAMETA_EXPECT_REFUSED(nsameta_copy_to_host(context_.get(), nullptr, buffer.data(), 4, nullptr),
                         NSAMETA_INVALID_ARGUMENT, "destination=NULL is not allowed");
  NSAMETA_EXPECT_REFUSED(nsameta_copy_to_device(context_.get(), buffer.data(), nullptr, 4, nullptr),
                         NSAMETA_INVALID_ARGUMENT, "source=NULL is not allowed");
  const nsameta::stream stream(context_);
  EXPECT_EQ(stream.get(), nullptr);
  stream.synchronize();
  EXPECT_EQ(nsameta_graph_begin(context_.get(), nullptr), NSAMETA_UNSUPPORTED);
  EXPECT_EQ(std::string(nsameta_last_error_message()).rfind("backend cpu", 0), 0U) << nsameta_last_error_message();
}

// ---- tuning ----

TEST_F(api, tunables_are_listed_read_and_set) {
  const int32_t num_tunables = nsameta_context_num_tunables(context_.get());
  ASSERT_GT(num_tunables, 0);
  EXPECT_EQ(static_cast<size_t>(num_tunables), context_.tunables().size());
  const std::string name = context_.tunables().front().name;
  EXPECT_EQ(name, "min_parallel_bytes");
  context_.set_tunable(name, 4096);
  const nsameta_tunable changed = context_.tunables().front();
  EXPECT_EQ(changed.value, 4096);
  EXPECT_NE(changed.default_value, 4096);
  EXPECT_EQ(nsameta::context(nsameta::kCpuDevice, "cpu").tunables().front().value, changed.default_value);

  nsameta_context* const raw = context_.get();
  nsameta_tunable tunable{};
  EXPECT_EQ(nsameta_context_num_tunables(nullptr), 0);
  NSAMETA_EXPECT_REFUSED(nsameta_context_get_tunable(nullptr, 0, &tunable), NSAMETA_INVALID_ARGUMENT,
                         "context=NULL is not allowed");
  NSAMETA_EXPECT_REFUSED(nsameta_context_get_tunable(raw, 0, nullptr), NSAMETA_INVALID_ARGUMENT,
                         "tunable=NULL is not allowed");
  const std::string range = " must be in [0, " + std::to_string(num_tunables) + "), the tunables of backend cpu";
  NSAMETA_EXPECT_REFUSED(nsameta_context_get_tunable(raw, -1, &tunable), NSAMETA_INVALID_ARGUMENT,
                         ("tunable_idx=-1" + range).c_str());
  NSAMETA_EXPECT_REFUSED(nsameta_context_get_tunable(raw, num_tunables, &tunable), NSAMETA_INVALID_ARGUMENT,
                         ("tunable_idx=" + std::to_string(num_tunables) + range).c_str());
  NSAMETA_EXPECT_REFUSED(nsameta_context_set_tunable(nullptr, "x", 1), NSAMETA_INVALID_ARGUMENT,
                         "context=NULL is not allowed");
  NSAMETA_EXPECT_REFUSED(nsameta_context_set_tunable(raw, nullptr, 1), NSAMETA_INVALID_ARGUMENT,
                         "name=NULL is not allowed");
  NSAMETA_EXPECT_REFUSED(nsameta_context_set_tunable(raw, "x", 1), NSAMETA_INVALID_ARGUMENT,
                         "x is not a tunable of backend cpu");
  NSAMETA_EXPECT_REFUSED(nsameta_context_set_tunable(raw, "num_ranges_per_thread", 0), NSAMETA_INVALID_ARGUMENT,
                         "num_ranges_per_thread=0 must be in [1, 256]");
}

TEST_F(api, a_plan_explains_what_it_would_choose) {
  nsameta::plan plan(context_, arguments());
  const std::string text = plan.explain();
  EXPECT_EQ(text.rfind("backend: cpu\n", 0), 0U) << text;
  EXPECT_NE(text.find("rule: token_bytes 32 >= 1048576 (min_parallel_bytes 1048576): no\n"), std::string::npos) << text;
  EXPECT_NE(text.find("token_path: one_thread\n"), std::string::npos) << text;
  EXPECT_NE(plan.explain(-1, 2).find("token_bytes 8 "), std::string::npos) << plan.explain(-1, 2);
  context_.set_tunable("min_parallel_bytes", 0);
  EXPECT_NE(plan.explain().find("token_path: all_threads\n"), std::string::npos) << plan.explain();
  EXPECT_EQ(expanded_, std::vector<int32_t>(8, -77));  // nothing ran
  EXPECT_EQ(context_.num_launches(), 0U);
}

TEST_F(api, explanations_are_cut_to_the_buffer) {
  nsameta::plan plan(context_, arguments());
  const std::string all = plan.explain();
  for (const size_t size : {size_t{1}, size_t{5}, size_t{14}, size_t{15}, all.size(), all.size() + 1}) {
    std::vector<char> text(size + 1, '#');
    size_t needed = 0;
    ASSERT_EQ(nsameta_plan_explain(plan.get(), -1, -1, -1, text.data(), size, &needed), NSAMETA_OK);
    EXPECT_EQ(needed, all.size() + 1);
    EXPECT_EQ(std::string(text.data()), all.substr(0, size - 1)) << size;
    EXPECT_EQ(text.back(), '#');
  }
  char text[8];
  NSAMETA_EXPECT_REFUSED(nsameta_plan_explain(nullptr, -1, -1, -1, text, 8, nullptr), NSAMETA_INVALID_ARGUMENT,
                         "plan=NULL is not allowed");
  NSAMETA_EXPECT_REFUSED(nsameta_plan_explain(plan.get(), -1, -1, -1, nullptr, 8, nullptr), NSAMETA_INVALID_ARGUMENT,
                         "text=NULL is not allowed");
  NSAMETA_EXPECT_REFUSED(nsameta_plan_explain(plan.get(), 4, -1, -1, text, 8, nullptr), NSAMETA_INVALID_ARGUMENT,
                         "batch=4 must be in [-1, 3], the batch of the plan");
  NSAMETA_EXPECT_REFUSED(nsameta_plan_explain(plan.get(), -1, -2, -1, text, 8, nullptr), NSAMETA_INVALID_ARGUMENT,
                         "num_tokens_bound=-2 must be -1 or more");
}

TEST(api_tuning, without_a_file_there_is_none) {
  nsameta_tuning tuning{"x", 1, 1};
  ASSERT_EQ(nsameta_get_tuning(find_backend("cpu"), 0, &tuning), NSAMETA_OK) << nsameta_last_error_message();
  EXPECT_STREQ(tuning.file, "");
  EXPECT_EQ(tuning.is_applied, 0);
  EXPECT_EQ(tuning.num_values, 0);
  NSAMETA_EXPECT_REFUSED(nsameta_get_tuning(find_backend("cpu"), 0, nullptr), NSAMETA_INVALID_ARGUMENT,
                         "tuning=NULL is not allowed");
  EXPECT_EQ(nsameta_get_tuning(find_backend("cpu"), 1, &tuning), NSAMETA_INVALID_ARGUMENT);
  EXPECT_EQ(nsameta_get_tuning(-1, 0, &tuning), NSAMETA_INVALID_ARGUMENT);
}

}  // namespace
