// `nsameta bench` and `nsameta tune`, and a file of the latter in other commands.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/cli/program.h"

namespace {

constexpr size_t kNumCpuTunables = 0
#define NSAMETA_TUNABLE(field, least, most, decides, measured) +1
#include "backends/cpu/tunables.def"
#undef NSAMETA_TUNABLE
    ;

using nlohmann::json;
using nsameta::test::read_file;
using nsameta::test::run_program;
using nsameta::test::write_file;

constexpr const char* kQuick = " --backend cpu --cases '^seed_q8/b(1|32)$|^verify/b1_c4K$' --repetitions 1";

json parsed(const std::string& arguments, const std::string& environment = "") {
  SCOPED_TRACE(arguments);
  const auto result = run_program(arguments, environment);
  EXPECT_EQ(result.exit_status, 0) << result.err;
  return json::parse(result.out, nullptr, false);
}

TEST(bench_program, times_a_shape_and_explains_it) {
  const json out = parsed("bench --backend cpu --batch 2 --context 300 --tokens-per-request 3 --repetitions 3 --json");
  EXPECT_EQ(out.at("schema"), "nsameta-program-bench-1");
  EXPECT_EQ(out.at("backend"), "cpu");
  EXPECT_EQ(out.at("memory"), "cpu");
  EXPECT_EQ(out.at("method"), "calls");
  EXPECT_TRUE(out.at("tuning").is_null());
  const json& row = out.at("cases").at(0);
  EXPECT_EQ(row.at("case"), "verify/b2_c300_q3");
  EXPECT_EQ(row.at("num_wrong"), 0);
  EXPECT_GT(row.at("bytes").get<double>(), 0);
  const json& us = row.at("us");
  EXPECT_GT(us.at("low").get<double>(), 0);
  EXPECT_LE(us.at("low").get<double>(), us.at("median").get<double>());
  EXPECT_LE(us.at("median").get<double>(), us.at("high").get<double>());
  EXPECT_EQ(row.at("explanation").at("launch").at("token_path"), "one_thread");
  const json& rule = row.at("explanation").at("rules").at(0);
  EXPECT_EQ(rule.at("tunable"), "min_parallel_bytes");
  EXPECT_EQ(rule.at("holds"), false);
}

TEST(bench_program, times_graphs_and_staged_calls) {
  const std::string shape = "bench --batch 2 --context 100 --repetitions 2 --json --device cuda:0 --backend ";
  const std::string environment = "NSAMETA_BACKEND_DIR=" NSAMETA_RECORDING_GPU_DIR;
  const json in_graph = parsed(shape + "recording_gpu", environment);
  EXPECT_EQ(in_graph.at("method"), "graph");
  EXPECT_EQ(in_graph.at("staged"), false);
  const json staged = parsed(shape + "cpu", environment);
  EXPECT_EQ(staged.at("method"), "calls");
  EXPECT_EQ(staged.at("staged"), true);
  EXPECT_EQ(staged.at("memory"), "cuda:0");
  for (const json& out : {in_graph, staged}) {
    EXPECT_EQ(out.at("cases").at(0).at("num_wrong"), 0);
    EXPECT_GT(out.at("cases").at(0).at("us").at("median").get<double>(), 0);
  }
}

TEST(bench_program, prints_cases_and_reasons) {
  const auto result = run_program("bench --backend cpu --cases '^decode/b1_c4K$' --repetitions 2 --explain");
  EXPECT_EQ(result.exit_status, 0) << result.err;
  for (const char* part : {"decode/b1_c4K", "token_path: one_thread", "(min_parallel_bytes 1048576): no"}) {
    EXPECT_NE(result.out.find(part), std::string::npos) << part << " is not in\n" << result.out;
  }
}

TEST(bench_program, knows_every_operation_and_mode) {
  for (const char* what : {"--op copy_metadata", "--op map_topk_to_slots", "--op mla_schedule", "--mode decode",
                           "--mode draft_extend", "--mode extend", "--outputs cu_seqlens_k --no-bound"}) {
    const json out = parsed(std::string("bench --backend cpu --batch 2 --context 200 --repetitions 1 --json ") + what);
    EXPECT_EQ(out.at("cases").at(0).at("num_wrong"), 0) << what;
  }
}

TEST(tune_program, measures_writes_and_is_loaded) {
  const auto path = std::filesystem::path(write_file("unused", "")).parent_path() / "tuning.json";
  const json out = parsed("tune --seconds 1 --json --out tuning.json" + std::string(kQuick));
  EXPECT_EQ(out.at("schema"), "nsameta-program-tune-1");
  EXPECT_EQ(out.at("tunables").size(), kNumCpuTunables);
  EXPECT_EQ(out.at("file"), "tuning.json");
  const json file = json::parse(read_file(path.string()));
  EXPECT_EQ(file.at("schema"), "nsameta-tuning-1");
  EXPECT_EQ(file.at("entries").at(0).at("values"), out.at("values"));

  const auto tuning_of = [](const json& info) {
    for (const auto& backend : info.at("backends")) {
      if (backend.at("name") == "cpu") return backend.at("devices").at(0).at("tuning");
    }
    return json();
  };
  EXPECT_EQ(tuning_of(parsed("info --json", "NSAMETA_TUNING=tuning.json")).at("num_values"), out.at("values").size());
  EXPECT_TRUE(tuning_of(parsed("info --json")).is_null());

  json changed = file;
  changed["entries"][0]["values"] = {{"min_parallel_bytes", 0}};
  write_file("changed.json", changed.dump());
  const json benched =
      parsed("bench --backend cpu --batch 1 --context 99 --repetitions 1 --json", "NSAMETA_TUNING=changed.json");
  EXPECT_EQ(benched.at("tuning").at("num_values"), 1);
  EXPECT_EQ(benched.at("cases").at(0).at("explanation").at("launch").at("token_path"), "all_threads");
  EXPECT_NE(run_program("info", "NSAMETA_TUNING=changed.json").out.find("tuning: 1 values from changed.json"),
            std::string::npos);

  changed["version"] = "0.0.9";
  write_file("changed.json", changed.dump());
  const auto refused = run_program("bench --backend cpu", "NSAMETA_TUNING=changed.json");
  EXPECT_EQ(refused.exit_status, 2);
  EXPECT_NE(refused.err.find("NSAMETA_TUNING=changed.json: version=\"0.0.9\" must be \"0.1.0\""), std::string::npos)
      << refused.err;
  EXPECT_EQ(run_program("info", "NSAMETA_TUNING=changed.json").exit_status, 2);
  const auto again = run_program("tune --seconds 0 --out changed.json" + std::string(kQuick),
                                 "NSAMETA_TUNING=changed.json");  // which is what it says to do
  EXPECT_EQ(again.exit_status, 0) << again.err;
  EXPECT_NE(again.err.find("NSAMETA_TUNING is ignored while tuning"), std::string::npos);
}

TEST(tune_program, without_time_nothing_is_measured_and_it_says_so) {
  const auto result = run_program("tune --backend cpu --seconds 0 --cases '^seed_q8/b4096$'");
  EXPECT_EQ(result.exit_status, 0) << result.err;
  EXPECT_NE(result.out.find("not_measured"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("no value is faster than its default"), std::string::npos) << result.out;
}

TEST(tune_program, interrupted_it_writes_nothing) {
  const auto folder = std::filesystem::path(write_file("unused", "")).parent_path();
  const auto result = run_program(
      "tune --backend cpu --seconds 60 --repetitions 1000 --cases '^seed_q8/' --out never.json", "timeout -s INT 0.4");
  EXPECT_EQ(result.exit_status, 124) << result.err;  // of timeout: it had to interrupt
  EXPECT_EQ(result.out, "");
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    EXPECT_FALSE(file.path().filename().string().starts_with("never.json")) << file.path();
  }
}

TEST(tune_program, lists_tunables) {
  EXPECT_EQ(parsed("tune --backend cpu --list --json").size(), kNumCpuTunables);
  const auto result = run_program("tune --backend cpu --list");
  EXPECT_NE(result.out.find("min_parallel_bytes = 1048576, in [0, "), std::string::npos) << result.out;
}

TEST(tune_program, overwrites_no_other_file) {
  const std::string path = write_file("mine.txt", "mine");
  const auto result = run_program("tune --seconds 0 --out mine.txt" + std::string(kQuick));
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_NE(result.err.find("--out=mine.txt is there and not a tuning file"), std::string::npos) << result.err;
  EXPECT_EQ(read_file(path), "mine");
}

}  // namespace
