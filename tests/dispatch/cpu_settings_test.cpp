#include "backends/cpu/settings.h"

#include <gtest/gtest.h>

#include "backends/cpu/isa.h"

namespace nsameta::cpu {
namespace {

// A machine that runs two of the three.
constexpr loops kBest = {"avx2", {}, {}, {}, {}, {}, {}, {}, {}, {}};
constexpr loops kPlain = {"generic", {}, {}, {}, {}, {}, {}, {}, {}, {}};
const std::vector<const loops*> kRunnable = {&kBest, &kPlain};

settings parse(const char* isa, const char* threads) { return parse_settings(isa, threads, kRunnable, 8); }

TEST(cpu_settings, unset_and_empty_mean_the_best_and_all_threads) {
  for (const char* nothing : {static_cast<const char*>(nullptr), ""}) {
    const settings parsed = parse(nothing, nothing);
    EXPECT_EQ(parsed.loops, &kBest);
    EXPECT_EQ(parsed.num_threads, 0);
    EXPECT_EQ(parsed.error, "");
  }
}

TEST(cpu_settings, an_isa_by_name) {
  EXPECT_EQ(parse("generic", nullptr).loops, &kPlain);
  EXPECT_EQ(parse("avx2", nullptr).loops, &kBest);
}

TEST(cpu_settings, an_isa_that_is_unknown_or_cannot_run_is_refused) {
  for (const char* isa : {"avx512", "AVX2", "sse", "auto", "avx2 "}) {
    EXPECT_EQ(parse(isa, nullptr).error,
              std::string("NSAMETA_CPU_ISA=") + isa + " must be one of those that this CPU can run: avx2, generic");
  }
}

TEST(cpu_settings, threads_up_to_what_the_process_may_use) {
  EXPECT_EQ(parse(nullptr, "1").num_threads, 1);
  EXPECT_EQ(parse(nullptr, "8").num_threads, 8);
  for (const char* threads : {"0", "9", "-1", "two", "2x", " 2", "99999999999"}) {
    EXPECT_EQ(parse(nullptr, threads).error, std::string("NSAMETA_CPU_THREADS=") + threads +
                                                 " must be a number from 1 to 8, the CPUs this process may use");
  }
}

TEST(cpu_settings, generic_runs_everywhere) {
  const auto tables = runnable_loops();
  ASSERT_FALSE(tables.empty());
  EXPECT_STREQ(tables.back()->isa, "generic");
  for (const loops* table : tables) EXPECT_EQ(parse_settings(table->isa, nullptr, tables, 1).loops, table);
}

}  // namespace
}  // namespace nsameta::cpu
