// The program's surface: help, info, bad arguments.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/cli/program.h"

namespace {

using nlohmann::json;
using nsameta::test::outcome;
using nsameta::test::run_program;

void expect_refused(const std::string& arguments, const std::string& message, const std::string& environment = "") {
  SCOPED_TRACE(arguments);
  const auto result = run_program(arguments, environment);
  EXPECT_EQ(result.exit_status, 2) << result.err;
  EXPECT_NE(result.err.find(message), std::string::npos) << "got:\n" << result.err << "wanted:\n" << message;
  EXPECT_EQ(result.out, "");
}

TEST(program, shows_help_with_examples) {
  for (const char* arguments :
       {"--help", "info --help", "explain --help", "replay --help", "bench --help", "tune --help"}) {
    SCOPED_TRACE(arguments);
    const auto result = run_program(arguments);
    EXPECT_EQ(result.exit_status, 0);
    EXPECT_NE(result.out.find("Examples:"), std::string::npos);
    EXPECT_EQ(result.err, "");
  }
  for (const char* option :
       {"--trace",      "--format", "--mode",      "--next-n",      "--max-batch",     "--steps",   "--step-ms",
        "--time-scale", "--topk",   "--page-size", "--chunk",       "--backend",       "--device",  "--launch",
        "--verify",     "--seed",   "--json",      "--pool-tokens", "--no-wide-table", "--num-sms", "--copy-mb"}) {
    EXPECT_NE(run_program("replay --help").out.find(option), std::string::npos) << option;
  }
}

TEST(program, shows_its_version) {
  const auto result = run_program("--version");
  EXPECT_EQ(result.exit_status, 0);
  EXPECT_EQ(result.out.rfind("nsameta ", 0), 0U) << result.out;
}

TEST(program, info_describes_every_backend) {
  const auto result = run_program("info --json");
  EXPECT_EQ(result.exit_status, 0) << result.err;
  const auto info = json::parse(result.out);
  EXPECT_TRUE(info.at("version").is_string());
  EXPECT_GE(info.at("abi_version").get<int>(), 1);
  bool has_cpu = false;
  for (const auto& backend : info.at("backends")) {
    EXPECT_EQ(backend.at("usable").get<bool>(), backend.at("reason").get<std::string>().empty()) << backend;
    if (backend.at("name") != "cpu") continue;
    has_cpu = true;
    const auto& device = backend.at("devices").at(0);
    EXPECT_EQ(device.at("warp_width").get<int>(), 1);
    EXPECT_GT(device.at("memory_bytes").get<int64_t>(), 0);
    EXPECT_GT(device.at("num_multiprocessors").get<int>(), 0);
    EXPECT_FALSE(device.at("name").get<std::string>().empty());
    EXPECT_FALSE(device.at("arch").get<std::string>().empty());
  }
  EXPECT_TRUE(has_cpu);
  for (const char* memory : {"cpu", "cuda", "rocm"}) {
    const auto& chosen = info.at("selection").at(memory);
    EXPECT_TRUE(chosen.contains("backend") && chosen.at("staged").is_boolean() && chosen.at("reason").is_string());
  }
  EXPECT_EQ(info.at("selection").at("cpu").at("backend"), "cpu");
  EXPECT_NE(run_program("info").out.find("backend"), std::string::npos);
}

TEST(program, info_shows_a_backend_that_does_not_exist) {
  const auto result = run_program("info --json", "NSAMETA_BACKEND=nonsense");
  EXPECT_EQ(result.exit_status, 2);
  const auto info = json::parse(result.out);
  EXPECT_FALSE(info.at("backends").empty());
  EXPECT_TRUE(info.at("selection").at("cpu").at("backend").is_null());
  EXPECT_NE(info.at("selection").at("cpu").at("reason").get<std::string>().find("nonsense"), std::string::npos);
}

TEST(program, info_shows_staging) {
  const auto result = run_program("info --json", "NSAMETA_BACKEND=cpu NSAMETA_BACKEND_DIR=" NSAMETA_FAKE_GPU_DIR);
  const auto info = json::parse(result.out);
  const auto& cuda = info.at("selection").at("cuda");
  EXPECT_EQ(cuda.at("backend"), "cpu");
  EXPECT_TRUE(cuda.at("staged").get<bool>());
}

TEST(program, refuses_bad_arguments) {
  expect_refused("", "subcommand");
  expect_refused("nonsense", "subcommand");
  expect_refused("info --nonsense", "--nonsense");
  expect_refused("replay --topk 0", "--topk: 0 must be in [1, 2147483647]");
  expect_refused("replay --topk many", "--topk: 'many' must be a number");
  expect_refused("replay --max-batch -1", "--max-batch");
  expect_refused("replay --next-n 65", "--next-n: 65 must be in [1, 64]");
  expect_refused("replay --step-ms 0", "--step-ms: 0 must be in");
  expect_refused("replay --time-scale 0", "--time-scale: 0 must be in");
  expect_refused("replay --mode quick", "--mode: 'quick' must be one of mixed|decode|verify|draft_extend");
  expect_refused("replay --verify some", "--verify: 'some' must be one of");
  expect_refused("replay --format xml", "--format: 'xml' must be one of auto|mooncake|azure");
  expect_refused("replay --page-size 48", "--page-size=48 must divide 512");
  expect_refused("replay --pool-tokens 63", "--pool-tokens=63 must hold a page of 64 tokens");
  expect_refused("replay --device gpu", "--device=gpu must be cpu, cuda[:id] or rocm[:id]");
  expect_refused("replay --device cuda:x", "--device=cuda:x");
  expect_refused("replay --backend nonsense", "nonsense");
  expect_refused("replay --launch graph --backend cpu", "--launch=graph needs a backend that runs on a GPU");
  expect_refused("bench --batch 0", "--batch: 0 must be in [1, 65536]");
  expect_refused("bench --mode quick", "--mode: 'quick' must be one of verify|decode|draft_extend|extend");
  expect_refused("bench --op none", "--op: 'none' must be one of build_metadata|");
  expect_refused("bench --mode decode --tokens-per-request 2", "--tokens-per-request=2 must be 1 in --mode decode");
  expect_refused("bench --mode extend --context 8 --tokens-per-request 5",
                 "--tokens-per-request=5 must be at most half of --context=8 in --mode extend");
  expect_refused("bench --outputs nothing", "--outputs: 'nothing' must be one of seqlens_expanded");
  expect_refused("bench --op mla_schedule --outputs cu_seqlens_k", "--outputs needs --op build_metadata");
  expect_refused("bench --cases nothing", "--cases=nothing must match the name of a case of --op");
  expect_refused("bench --cases '('", "--cases=( is not a regular expression");
  expect_refused("bench --backend cpu --batch 65536", "case verify/b65536_c4096_q4: its tables take 202.5 GiB");
  expect_refused("bench --device gpu", "--device=gpu must be cpu, cuda[:id] or rocm[:id]");
  expect_refused("bench", "NSAMETA_TUNING=no/such/file: cannot be read", "NSAMETA_TUNING=no/such/file");
  expect_refused("tune --seconds -1", "--seconds: -1 must be in");
  expect_refused("tune --out no/such/file --cases '^seed_q8/b1$' --backend cpu",
                 "--out=no/such/file: the folder no/such does not exist");
  expect_refused("replay --json no/such/folder/file", "--json=no/such/folder/file: cannot be opened");
  expect_refused("replay", "NSAMETA_BACKEND=nonsense", "NSAMETA_BACKEND=nonsense");
  expect_refused("replay", "NSAMETA_TRACES=no/such/place: does not exist", "NSAMETA_TRACES=no/such/place");
}

}  // namespace
