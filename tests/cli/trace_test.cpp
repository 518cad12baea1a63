#include "cli/trace.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/error.h"

namespace nsameta::cli {
namespace {

trace parse(const std::vector<std::string>& lines, trace_format format = trace_format::auto_detect,
            const std::string& name = "trace") {
  trace_parser parser(name, format);
  for (const auto& line : lines) parser.add_line(line);
  return parser.finish();
}

TEST(trace, reads_the_mooncake_format) {
  const auto t = parse({R"({"timestamp": 500, "input_length": 1030, "output_length": 7, "hash_ids": [90, 4, 17]})",
                        R"({"timestamp": 2500, "input_length": 10, "output_length": 0, "hash_ids": [90]})"});
  ASSERT_EQ(t.requests.size(), 2U);
  EXPECT_EQ(t.num_bad_lines, 0);
  EXPECT_EQ(t.requests[0].arrival_us, 0);
  EXPECT_EQ(t.requests[1].arrival_us, 2'000'000);
  EXPECT_EQ(t.requests[0].input_length, 1030);
  EXPECT_EQ(t.requests[0].output_length, 7);
  EXPECT_EQ(t.hashes, (std::vector<int32_t>{0, 1, 2, 0}));
  EXPECT_EQ(t.num_distinct_hashes, 3);
  EXPECT_EQ(t.requests[1].first_hash, 3U);
  EXPECT_EQ(t.requests[1].num_hashes, 1U);
}

TEST(trace, reads_the_azure_format) {
  const auto t = parse({"TIMESTAMP,ContextTokens,GeneratedTokens\r", "2023-11-16 23:59:59.5000000,374,44\r",
                        "2023-11-17 00:00:01.2500000,396,109\r"});
  ASSERT_EQ(t.requests.size(), 2U);
  EXPECT_EQ(t.num_bad_lines, 0);
  EXPECT_EQ(t.requests[1].arrival_us, 1'750'000);
  EXPECT_EQ(t.requests[1].input_length, 396);
  EXPECT_EQ(t.requests[1].output_length, 109);
}

TEST(trace, sorts_by_arrival_and_keeps_the_order_of_equals) {
  const auto line = [](int timestamp, int length) {
    return R"({"timestamp": )" + std::to_string(timestamp) + R"(, "input_length": )" + std::to_string(length) +
           R"(, "output_length": 1})";
  };
  const auto t = parse({line(30, 1), line(10, 2), line(30, 3), line(10, 4)});
  std::vector<int32_t> lengths;
  for (const auto& r : t.requests) lengths.push_back(r.input_length);
  EXPECT_EQ(lengths, (std::vector<int32_t>{2, 4, 1, 3}));
  EXPECT_EQ(t.requests.back().arrival_us, 20'000);
}

TEST(trace, skips_bad_mooncake_lines_with_number_and_reason) {
  const std::string good = R"({"timestamp": 0, "input_length": 5, "output_length": 5})";
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"{\"timestamp\": 0,", "not JSON"},
      {"[1, 2]", "not a JSON object"},
      {R"({"timestamp": 0, "output_length": 5})", "input_length is missing"},
      {R"({"timestamp": 0, "input_length": -5, "output_length": 5})", "input_length=-5 must be in [1, 16777216]"},
      {R"({"timestamp": 0, "input_length": "5", "output_length": 5})", "input_length=\"5\" must be an integer"},
      {R"({"timestamp": 0, "input_length": 5, "output_length": 5.5})", "output_length=5.5 must be an integer"},
      {R"({"timestamp": 18446744073709551615, "input_length": 5, "output_length": 5})", "timestamp="},
      {R"({"timestamp": 0, "input_length": 99999999, "output_length": 5})", "input_length=99999999 must be in"},
      {R"({"timestamp": 0, "input_length": 5, "output_length": 5, "hash_ids": 3})", "hash_ids must be an array"},
      {R"({"timestamp": 0, "input_length": 5, "output_length": 5, "hash_ids": [1, "x"]})", "hash_ids[]=\"x\""}};
  std::vector<std::string> lines = {good};
  for (const auto& [line, reason] : bad) lines.push_back(line);
  lines.emplace_back("");  // blank lines are no fault
  lines.push_back(good);
  const auto t = parse(lines);
  EXPECT_EQ(t.requests.size(), 2U);
  EXPECT_TRUE(t.hashes.empty());  // a line that fails late leaves nothing behind
  ASSERT_EQ(t.num_bad_lines, static_cast<int64_t>(bad.size()));
  ASSERT_EQ(t.bad_lines.size(), bad.size());
  for (size_t i = 0; i < bad.size(); ++i) {
    EXPECT_EQ(t.bad_lines[i].line_number, static_cast<int64_t>(i) + 2);
    EXPECT_NE(t.bad_lines[i].reason.find(bad[i].second), std::string::npos) << t.bad_lines[i].reason;
  }
}

TEST(trace, skips_bad_azure_lines_with_number_and_reason) {
  const std::vector<std::pair<std::string, std::string>> bad = {
      {"2023-11-16 18:15:46.68,374", "2 columns, must be 3"},
      {"2023-11-16 18:15:46.68,374,44,1", "4 columns, must be 3"},
      {"2023-13-16 18:15:46.68,374,44", "TIMESTAMP='2023-13-16"},
      {"2023-02-29 18:15:46,374,44", "TIMESTAMP='2023-02-29"},
      {"2023-11-16 24:15:46,374,44", "TIMESTAMP="},
      {"2023-11-16 18:15:46.,374,44", "TIMESTAMP="},
      {"yesterday,374,44", "TIMESTAMP='yesterday'"},
      {"2023-11-16 18:15:46.68,x,44", "ContextTokens='x' must be an integer"},
      {"2023-11-16 18:15:46.68,0,44", "ContextTokens=0 must be in [1, 16777216]"},
      {"2023-11-16 18:15:46.68,1,-1", "GeneratedTokens=-1 must be in [0, 16777216]"}};
  std::vector<std::string> lines = {"TIMESTAMP,ContextTokens,GeneratedTokens", "2023-11-16 18:15:46,1,1"};
  for (const auto& [line, reason] : bad) lines.push_back(line);
  const auto t = parse(lines);
  EXPECT_EQ(t.requests.size(), 1U);
  ASSERT_EQ(t.bad_lines.size(), bad.size());
  for (size_t i = 0; i < bad.size(); ++i) {
    EXPECT_EQ(t.bad_lines[i].line_number, static_cast<int64_t>(i) + 3);
    EXPECT_NE(t.bad_lines[i].reason.find(bad[i].second), std::string::npos) << t.bad_lines[i].reason;
  }
}

TEST(trace, counts_all_bad_lines_and_keeps_the_first) {
  const auto t = parse(std::vector<std::string>(25, "{"));
  EXPECT_EQ(t.num_bad_lines, 25);
  EXPECT_EQ(t.bad_lines.size(), kMaxBadLinesKept);
}

TEST(trace, needs_to_know_the_format) {
  EXPECT_THROW(parse({"hello"}), usage_error);
  EXPECT_EQ(parse({"hello"}, trace_format::azure).num_bad_lines, 1);
  EXPECT_EQ(parse({"hello"}, trace_format::auto_detect, "a.jsonl").num_bad_lines, 1);
  EXPECT_EQ(parse({"2023-11-16 18:15:46,1,1"}, trace_format::auto_detect, "a.csv").requests.size(), 1U);
}

TEST(trace, refuses_files_that_cannot_be_read) {
  EXPECT_THROW(read_trace("no/such/file", trace_format::auto_detect), usage_error);
  EXPECT_THROW(read_trace(testing::TempDir(), trace_format::auto_detect), usage_error);
  EXPECT_THROW(read_trace("/dev/null", trace_format::auto_detect), usage_error);
}

}  // namespace
}  // namespace nsameta::cli
