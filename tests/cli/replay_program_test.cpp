// `nsameta replay` on small traces.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/cli/program.h"

namespace {

using nlohmann::json;
using nsameta::test::read_file;
using nsameta::test::run_program;
using nsameta::test::write_file;

std::string mooncake_line(int timestamp_ms, int input, int output, int first_hash) {
  json line = {{"timestamp", timestamp_ms}, {"input_length", input}, {"output_length", output}};
  line["hash_ids"] = json::array();
  for (int b = 0; b * 512 < input; ++b) line["hash_ids"].push_back(b == 0 ? 0 : first_hash + b);
  return line.dump() + "\n";
}

std::string mooncake_trace() {
  std::string text;
  for (int i = 0; i < 40; ++i) text += mooncake_line(i * 50, 300 + 137 * i, 1 + i, 100 * i);
  return write_file("mooncake.jsonl", text);
}

// Without the copy that bandwidths are set against, which takes longer than the rest.
json replay(const std::string& arguments, const std::string& environment = "") {
  const auto result = run_program("replay --copy-mb 0 --json - " + arguments, environment);
  EXPECT_EQ(result.exit_status, 0) << result.err;
  return json::parse(result.out);
}

TEST(replay, verifies_every_step_of_a_trace) {
  const auto r = replay("--verify all --backend cpu --trace " + mooncake_trace());
  EXPECT_EQ(r.at("backend"), "cpu");
  EXPECT_NE(r.at("trace").get<std::string>().find("mooncake.jsonl"), std::string::npos);
  EXPECT_EQ(r.at("requests").get<int>(), 40);
  EXPECT_EQ(r.at("mismatches").get<int>(), 0);
  EXPECT_GT(r.at("steps").get<int>(), 0);
  EXPECT_EQ(r.at("verified_steps"), r.at("steps"));
  EXPECT_EQ(r.at("bad_lines").get<int>(), 0);
  EXPECT_GT(r.at("prefix_hit_tokens").get<int>(), 0);
  EXPECT_EQ(r.at("output_tokens").get<int>(), 40 * 41 / 2);
  EXPECT_FALSE(r.at("staged").get<bool>());
  EXPECT_FALSE(r.at("interrupted").get<bool>());
  EXPECT_EQ(r.at("modes").size(), 3U);
  int64_t tokens = 0;
  for (const char* mode : {"extend", "verify", "draft_extend"}) {
    const auto& m = r.at("modes").at(mode);
    EXPECT_GT(m.at("steps").get<int>(), 0);
    const auto& latency = m.at("latency_us");
    EXPECT_GT(latency.at("p50").get<double>(), 0);
    EXPECT_LE(latency.at("p50").get<double>(), latency.at("p90").get<double>());
    EXPECT_LE(latency.at("p90").get<double>(), latency.at("p99").get<double>());
    EXPECT_LE(latency.at("p99").get<double>(), latency.at("max").get<double>());
    EXPECT_GT(m.at("lengths_us").at("p50").get<double>(), 0);
    EXPECT_GT(m.at("baseline_us").at("p50").get<double>(), 0);
    EXPECT_GT(m.at("bytes_per_step").get<double>(), 1000);
    EXPECT_GT(m.at("gb_per_s").get<double>(), 0);
    EXPECT_FALSE(m.contains("bandwidth_share"));
    tokens += m.at("tokens").get<int64_t>();
  }
  EXPECT_EQ(r.at("tokens").get<int64_t>(), tokens);
}

TEST(replay, builds_only_what_the_mode_asks_for) {
  const std::string trace = mooncake_trace();
  const auto modes = [&](const std::string& mode) {
    const auto result = replay("--verify all --mode " + mode + " --trace " + trace);
    std::string names;
    for (const auto& [name, unused] : result.at("modes").items()) names += name + " ";
    return names;
  };
  EXPECT_EQ(modes("mixed"), "draft_extend extend verify ");
  EXPECT_EQ(modes("decode"), "decode extend ");
  EXPECT_EQ(modes("verify"), "verify ");
  EXPECT_EQ(modes("draft_extend"), "draft_extend ");
}

TEST(replay, sets_bandwidths_against_a_copy) {
  const auto result = run_program("replay --json - --steps 30 --copy-mb 8 --trace " + mooncake_trace());
  ASSERT_EQ(result.exit_status, 0) << result.err;
  const auto r = json::parse(result.out);
  const auto copy = r.at("copy_gb_per_s").get<double>();
  EXPECT_GT(copy, 0);
  for (const auto& m : r.at("modes")) {
    EXPECT_NEAR(m.at("bandwidth_share").get<double>(), m.at("gb_per_s").get<double>() / copy, 1e-6);
  }
  EXPECT_TRUE(replay("--steps 30 --trace " + mooncake_trace()).at("copy_gb_per_s").is_null());
}

TEST(replay, leaves_out_the_wide_table) {
  const std::string trace = mooncake_trace();
  const auto bytes = [&](const std::string& options, bool has_table) {
    const auto r = replay("--verify all --steps 60 --trace " + trace + options);
    EXPECT_EQ(r.at("wide_table").get<bool>(), has_table);
    EXPECT_EQ(r.at("mismatches").get<int>(), 0);
    return r.at("modes").at("verify").at("bytes_per_step").get<double>();
  };
  EXPECT_GT(bytes("", true), 10 * bytes(" --no-wide-table", false));
  // 65,536 requests of 4 rows are more than a table may take.
  const auto result = run_program("replay --max-batch 65536 --steps 60 --trace " + trace);
  EXPECT_EQ(result.exit_status, 0) << result.err;
  EXPECT_NE(result.out.find("page_table_1 left out"), std::string::npos) << result.out;
}

TEST(replay, builds_the_schedule_for_the_device_or_as_asked) {
  const std::string trace = mooncake_trace();
  EXPECT_EQ(replay("--steps 20 --verify all --trace " + trace).at("num_sms").get<int>(), 132);
  EXPECT_EQ(replay("--steps 20 --verify all --num-sms 7 --trace " + trace).at("num_sms").get<int>(), 7);
}

TEST(replay, takes_other_shapes) {
  const std::string trace = mooncake_trace();
  for (const char* options :
       {"--next-n 1", "--next-n 7 --topk 1", "--max-batch 1", "--chunk 1 --steps 500", "--page-size 1",
        "--page-size 512 --pool-tokens 8192", "--time-scale 1000 --chunk 100000", "--step-ms 0.5 --mode decode"}) {
    SCOPED_TRACE(options);
    EXPECT_EQ(replay(std::string("--verify all ") + options + " --trace " + trace).at("mismatches").get<int>(), 0);
  }
}

TEST(replay, reads_the_azure_format) {
  const std::string trace = write_file("azure.csv",
                                       "TIMESTAMP,ContextTokens,GeneratedTokens\n"
                                       "2023-11-16 18:15:46.6805900,374,44\n"
                                       "2023-11-16 18:15:50.9951690,396,109\n");
  const auto r = replay("--verify all --trace " + trace);
  EXPECT_EQ(r.at("requests").get<int>(), 2);
  EXPECT_EQ(r.at("output_tokens").get<int>(), 153);
}

TEST(replay, skips_bad_lines_and_says_so) {
  std::string text = mooncake_line(0, 100, 5, 0) + "{\"timestamp\": 1,\n" + mooncake_line(10, 100, 5, 0);
  for (int i = 0; i < 12; ++i) text += "{}\n";
  const std::string trace = write_file("broken.jsonl", text);
  const auto result = run_program("replay --verify all --json - --trace " + trace);
  EXPECT_EQ(result.exit_status, 0);
  EXPECT_EQ(json::parse(result.out).at("requests").get<int>(), 2);
  EXPECT_EQ(json::parse(result.out).at("bad_lines").get<int>(), 13);
  EXPECT_NE(result.err.find(trace + ":2: not JSON"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find(trace + ":4: field timestamp is missing"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("3 more bad lines"), std::string::npos) << result.err;
  EXPECT_NE(run_program("replay --trace " + trace).out.find("13 of the trace, skipped"), std::string::npos);
}

TEST(replay, refuses_a_trace_without_requests) {
  const auto expect = [](const std::string& path, const std::string& message) {
    const auto result = run_program("replay --trace " + path);
    EXPECT_EQ(result.exit_status, 2);
    EXPECT_NE(result.err.find(message), std::string::npos) << result.err;
  };
  expect("no/such/trace", "no/such/trace: cannot be opened");
  expect(write_file("empty.jsonl", ""), "holds no request");
  expect(write_file("all_bad.jsonl", "{}\n{}\n"), "2 bad lines");
  expect(write_file("note.txt", "hello\n"), "--format");
}

TEST(replay, falls_back_to_a_synthetic_workload) {
  const auto result = run_program("replay --verify all --requests 30 --seed 9 --json -");
  EXPECT_EQ(result.exit_status, 0) << result.err;
  EXPECT_EQ(result.err.rfind("synthetic workload: 30 requests", 0), 0U) << result.err;
  EXPECT_EQ(json::parse(result.out).at("trace"), "synthetic");
  EXPECT_EQ(json::parse(result.out).at("seed").get<int>(), 9);
  const std::string trace = mooncake_trace();
  EXPECT_EQ(run_program("replay", "NSAMETA_TRACES=" + trace).out.rfind("trace " + trace, 0), 0U);
}

TEST(replay, prints_a_table_and_writes_json_to_a_file) {
  const std::string path = write_file("result.json", "old");
  const auto result = run_program("replay --steps 50 --trace " + mooncake_trace() + " --json " + path);
  EXPECT_EQ(result.exit_status, 0);
  for (const char* part : {"requests", "batch", "extend", "verify", "draft_extend", "speedup", "0 mismatches"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part << " in\n" << result.out;
  }
  EXPECT_EQ(json::parse(read_file(path)).at("steps").get<int>(), 50);
}

// The device's memory cannot be touched by the host here: only the library's copies can.
TEST(replay, runs_staged_for_device_memory) {
  const auto r = replay("--verify all --backend cpu --device cuda:0 --steps 60 --trace " + mooncake_trace(),
                        "NSAMETA_BACKEND_DIR=" NSAMETA_FAKE_GPU_DIR);
  EXPECT_TRUE(r.at("staged").get<bool>());
  EXPECT_EQ(r.at("device"), "cuda:0");
  EXPECT_EQ(r.at("mismatches").get<int>(), 0);
  EXPECT_EQ(r.at("verified_steps").get<int>(), 60);
}

}  // namespace
