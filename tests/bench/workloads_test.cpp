// The workloads of the benchmarks, on the CPU: each case is built right, and a wrong build is seen.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "bench/workloads/workload.h"

namespace nsameta::bench {
namespace {

bench_case case_named(const std::string& name) {
  for (const auto& c : all_cases()) {
    if (c.name == name) return c;
  }
  ADD_FAILURE() << "no case " << name;
  return {};
}

// Those whose buffers take a moment.
bool is_small(const bench_case& c) {
  return c.batch * std::max<int64_t>(c.max_q, 1) <= 16'384 && std::max(c.context, c.long_context) * c.batch <= 40'000 &&
         c.long_q == 0;
}

TEST(bench_cases, names_differ) {
  std::set<std::string> names;
  for (const auto& c : all_cases()) EXPECT_TRUE(names.insert(c.name).second) << c.name;
  EXPECT_GT(names.size(), 100U);
}

TEST(bench_cases, lengths_are_what_the_shape_says) {
  const auto skewed = case_named("verify/b32_c1K_long128K");
  const auto lens = seq_lens(skewed, query_lens(skewed));
  EXPECT_EQ(std::count(lens.begin(), lens.end(), 131'072), 1);
  EXPECT_EQ(std::count(lens.begin(), lens.end(), 1024), 31);
  const auto uniform = case_named("decode/b256_c4K");
  for (const int64_t kv : seq_lens(uniform, query_lens(uniform))) {
    EXPECT_GE(kv, 2048);
    EXPECT_LT(kv, 4096);
  }
  const auto prompt = case_named("extend/b8_p56K_q1024");
  EXPECT_EQ(seq_lens(prompt, query_lens(prompt)), std::vector<int64_t>(8, 58'368));
}

// cases_test.py expects the same sums of bench/peers/bench_cases.py.
TEST(bench_cases, lengths_are_those_that_the_peers_get) {
  const auto sum = [](const std::vector<int64_t>& lens) {
    return std::accumulate(lens.begin(), lens.end(), int64_t{0});
  };
  const auto decode = case_named("decode/b256_c4K");
  EXPECT_EQ(sum(seq_lens(decode, query_lens(decode))), 786'828);
  const auto seed = case_named("seed_q128/b4096");
  EXPECT_EQ(sum(query_lens(seed)), 265'477);
  EXPECT_EQ(sum(seq_lens(seed, query_lens(seed))), 204'792'405);
}

TEST(bench_workloads, every_small_case_is_built_right) {
  const context cpu(kCpuDevice, "cpu");
  int num_cases = 0;
  for (const auto& c : all_cases()) {
    if (!is_small(c)) continue;
    SCOPED_TRACE(c.name);
    ++num_cases;
    const auto source = make_source(cpu, c);
    const auto first = source->next(), second = source->next();
    for (auto* set : {first.get(), second.get()}) {
      const int64_t num_elements = set->num_wrong();
      EXPECT_GT(num_elements, 0) << "before the build";
      for (const auto& way : source->variants()) {
        plan plan = set->make_plan(way);
        plan.run(nullptr, -1, -1, way.has_kv_bound ? set->kv_bound() : -1);
      }
      EXPECT_EQ(set->num_wrong(), 0);
      set->spoil();
      EXPECT_EQ(set->num_wrong(), num_elements) << "spoilt";
      set->run_once(nullptr);
    }
    EXPECT_EQ(first->num_wrong(), 0) << "after another set was built";
    first->run_once(nullptr);
    EXPECT_EQ(first->num_wrong(), 0);
    EXPECT_EQ(cpu.fault().check, NSAMETA_CHECK_NONE);
  }
  EXPECT_GT(num_cases, 40);
}

TEST(bench_workloads, bytes_are_those_of_the_live_cells) {
  const context cpu(kCpuDevice, "cpu");
  const auto pages = case_named("decode_pages/b1_c4K");
  const int64_t kv = seq_lens(pages, query_lens(pages)).front();
  const int64_t num_pages = (kv + 127) / 128 * 2;
  // seq_lens, row of the pool; cache_seqlens, cu_seqlens_k, nsa_cache_seqlens, nsa_cu_seqlens_k; the schedule; pages.
  const int64_t num_cells = 2 + 1 + 2 + 1 + 2 + 2 * 133 + num_pages;
  EXPECT_EQ(make_source(cpu, pages)->bytes(), static_cast<double>(num_cells * 4 + num_pages * 32));
  const auto wide = case_named("decode/b1_c4K");
  const int64_t live = num_pages * 64;
  EXPECT_EQ(make_source(cpu, wide)->bytes(), static_cast<double>((num_cells + 2 * live) * 4));
}

}  // namespace
}  // namespace nsameta::bench
