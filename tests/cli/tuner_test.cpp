// What `nsameta tune` tries and keeps, and how it reads explanations; and its file beside what is there already.
#include "cli/tuner.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cli/error.h"
#include "cli/launch_explanation.h"
#include "cli/tuning_file.h"

namespace nsameta::cli {
namespace {

nsameta_tunable tunable_of(int64_t value, int64_t least, int64_t most) {
  return {"x", "", "", value, value, least, most, -1, 0};
}

TEST(tuner, values_to_try_stay_in_range_and_differ) {
  EXPECT_EQ(values_to_try(tunable_of(64, 0, 1000)), (std::vector<int64_t>{32, 128, 16, 256}));
  EXPECT_EQ(values_to_try(tunable_of(256, 0, 256)), (std::vector<int64_t>{128, 64}));
  EXPECT_EQ(values_to_try(tunable_of(2, 1, 32)), (std::vector<int64_t>{1, 4, 8}));
  EXPECT_EQ(values_to_try(tunable_of(128, 100, 200)), (std::vector<int64_t>{100, 200}));
}

TEST(tuner, noise_is_neither_faster_nor_slower) {
  const bench::spread usual{10, 9.8, 10.2};
  EXPECT_EQ(outcome_of(usual, {9, 8.9, 9.1}), effect::FASTER);
  EXPECT_EQ(outcome_of(usual, {11, 10.9, 11.1}), effect::SLOWER);
  EXPECT_EQ(outcome_of(usual, {9, 8, 9.9}), effect::SAME);  // quartiles overlap
  EXPECT_EQ(outcome_of(usual, {11, 10.1, 12}), effect::SAME);
  EXPECT_EQ(outcome_of({10, 9.99, 10.01}, {9.9, 9.9, 9.9}), effect::SAME);  // too little
  EXPECT_EQ(outcome_of({10, 9.99, 10.01}, {10.05, 10.05, 10.05}), effect::SAME);
}

TEST(tuner, explanations_are_taken_apart) {
  const auto parsed = parse_explanation(
      "backend: cuda\nrule: batch 32 <= 256 (step_requests 256): yes\nrule: tokens 9 > 8 (short_columns 8): no\n"
      "fact: plain_step: no\nuses: slices_of_row 64\nkernel: build_metadata_step<1, true>\nblocks: 36\n");
  EXPECT_EQ(parsed.backend, "cuda");
  ASSERT_EQ(parsed.rules.size(), 2U);
  EXPECT_EQ(parsed.rules[0].what, "batch");
  EXPECT_EQ(parsed.rules[0].value, 32);
  EXPECT_EQ(parsed.rules[0].limit, 256);
  EXPECT_EQ(parsed.rules[0].tunable, "step_requests");
  EXPECT_TRUE(parsed.rules[0].holds);
  EXPECT_EQ(parsed.rules[1].comparison, ">");
  EXPECT_FALSE(parsed.rules[1].holds);
  EXPECT_EQ(parsed.facts, (std::vector<std::pair<std::string, bool>>{{"plain_step", false}}));
  EXPECT_EQ(parsed.uses, (std::vector<std::pair<std::string, int64_t>>{{"slices_of_row", 64}}));
  EXPECT_EQ(parsed.launch, (std::vector<std::pair<std::string, std::string>>{{"kernel", "build_metadata_step<1, true>"},
                                                                             {"blocks", "36"}}));
}

class tuning_files : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("nsameta_tuner_test." + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
    where_.backend = "cpu";
    where_.name = "a CPU";
    where_.arch = "x86-64";
    where_.num_multiprocessors = 8;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string file(const char* name) const { return (folder_ / name).string(); }

  std::filesystem::path folder_;
  device_description where_;
};

TEST_F(tuning_files, entries_of_other_devices_stay) {
  const std::string path = file("t.json");
  EXPECT_TRUE(other_entries(path, where_).empty());
  const nlohmann::ordered_json device = {{"name", "a CPU"}, {"arch", "x86-64"}, {"num_multiprocessors", 8}};
  nlohmann::ordered_json entries = {{{"backend", "cpu"}, {"device", device}, {"values", {{"x", 1}}}},
                                    {{"backend", "cuda"}, {"device", device}, {"values", {{"x", 2}}}}};
  write_tuning_file(path, entries);
  const auto others = other_entries(path, where_);
  ASSERT_EQ(others.size(), 1U);
  EXPECT_EQ(others[0]["backend"], "cuda");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), std::filesystem::directory_iterator()), 1);
}

TEST_F(tuning_files, other_files_are_not_overwritten) {
  std::ofstream(file("mine.json")) << "{}";
  EXPECT_THROW((void)other_entries(file("mine.json"), where_), usage_error);
  EXPECT_THROW((void)other_entries(file("no/folder.json"), where_), usage_error);
  std::ofstream(file("old.json")) << R"({"schema": "nsameta-tuning-1", "version": "0.0.1", "entries": [{}]})";
  EXPECT_TRUE(other_entries(file("old.json"), where_).empty());
}

}  // namespace
}  // namespace nsameta::cli
