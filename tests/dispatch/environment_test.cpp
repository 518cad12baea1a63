// What the environment does to a process: each test starts the probe program in one of its own.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>

namespace {

struct outcome {
  int exit_status;
  std::string text;  // standard output and standard error
};

const std::string kPlugins = NSAMETA_PLUGIN_ROOT;
const std::string kNoGpu = "NSAMETA_BACKEND_DIR=" + kPlugins + "/good";
const std::string kFakeGpu = "NSAMETA_BACKEND_DIR=" + kPlugins + "/fake_gpu";

// environment: NAME=value pairs, quoted for the shell where they need it.
outcome probe(const std::string& environment, const std::string& arguments) {
  const std::string command =
      "cd / && unset NSAMETA_LOG NSAMETA_BACKEND NSAMETA_BACKEND_DIR NSAMETA_TUNING NSAMETA_CPU_ISA "
      "NSAMETA_CPU_THREADS "
      "SGLANG_NSA_USE_TRITON_METADATA; env " +
      environment + " " NSAMETA_DISPATCH_PROBE " " + arguments + " 2>&1";
  outcome result{-1, ""};
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return result;
  std::array<char, 4096> chunk{};
  for (size_t n = 0; (n = std::fread(chunk.data(), 1, chunk.size(), pipe)) > 0;) result.text.append(chunk.data(), n);
  const int status = pclose(pipe);
  result.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

void expect_contains(const outcome& result, int exit_status, const std::string& part) {
  EXPECT_EQ(result.exit_status, exit_status) << result.text;
  EXPECT_NE(result.text.find(part), std::string::npos) << "got:\n" << result.text << "wanted:\n" << part;
}

int count_lines_with(const outcome& result, const std::string& part) {
  int count = 0;
  for (size_t at = result.text.find(part); at != std::string::npos; at = result.text.find(part, at + 1)) ++count;
  return count;
}

TEST(environment, nothing_set_is_silent_and_gives_the_cpu) {
  const outcome result = probe("", "run 1");
  EXPECT_EQ(result.exit_status, 0);
  EXPECT_EQ(result.text, "cpu: 0 3 7, 2\n");
}

TEST(environment, a_tuning_file_that_cannot_be_used_is_an_error) {
  expect_contains(probe("NSAMETA_TUNING=no/such/file", "run 1"), 1,
                  "NSAMETA_INVALID_ARGUMENT: NSAMETA_TUNING=no/such/file: cannot be read");
  expect_contains(probe("NSAMETA_TUNING=no/such/file", "select 1"), 0, "cpu: ");  // no context, no file
  EXPECT_EQ(probe("NSAMETA_TUNING=", "run 1").text, "cpu: 0 3 7, 2\n");
}

TEST(environment, a_third_party_backend_of_higher_priority_runs) {
  const outcome result = probe(kNoGpu, "run 1");
  EXPECT_EQ(result.exit_status, 0) << result.text;
  EXPECT_EQ(result.text.rfind("good: ", 0), 0U) << result.text;
  EXPECT_NE(result.text.find(", 987654\n"), std::string::npos) << result.text;  // the plugin's mark
  EXPECT_EQ(probe(kNoGpu + " NSAMETA_BACKEND=cpu", "run 1").text, "cpu: 0 3 7, 2\n");
  EXPECT_EQ(probe(kNoGpu + " NSAMETA_BACKEND=cpu", "run 1 good").text.rfind("good: ", 0), 0U);
  EXPECT_EQ(probe(kNoGpu + " NSAMETA_BACKEND=good SGLANG_NSA_USE_TRITON_METADATA=0", "run 1").text.rfind("good: ", 0),
            0U);
  EXPECT_EQ(probe(kNoGpu + " SGLANG_NSA_USE_TRITON_METADATA=No", "run 1").text, "cpu: 0 3 7, 2\n");
}

TEST(environment, nonsense_fails_with_every_backend_and_its_reason) {
  const outcome result = probe("NSAMETA_BACKEND=nonsense", "run 1");
  expect_contains(result, 1, "NSAMETA_BACKEND_UNAVAILABLE: NSAMETA_BACKEND=nonsense is not a backend. Backends: ");
  expect_contains(result, 1, "cuda: ");
  expect_contains(result, 1, "hip: ");
  expect_contains(result, 1, "cpu: usable");
}

TEST(environment, names_are_judged_only_by_the_list) {
  expect_contains(probe("NSAMETA_BACKEND=good", "run 1"), 1, "NSAMETA_BACKEND=good is not a backend.");
  expect_contains(probe(kNoGpu + " NSAMETA_BACKEND=auto", "run 1"), 0, "good: ");
}

TEST(environment, an_op_that_is_missing_is_named_with_its_backend) {
  expect_contains(probe("NSAMETA_BACKEND_DIR=" + kPlugins + "/no_op", "run 1"), 1,
                  "NSAMETA_UNSUPPORTED: backend no_op has no build_metadata");
}

TEST(environment, broken_plugins_leave_the_cpu_at_work) {
  for (const char* name : {"wrong_abi", "probe_fails", "throws_loading", "throws_entry", "throws_probe", "no_entry",
                           "null_entry", "needs_runtime"}) {
    const std::string environment = "NSAMETA_BACKEND_DIR=" + kPlugins + "/" + name;
    const outcome result = probe(environment, "run 1");
    EXPECT_EQ(result.exit_status, 0) << name << ": " << result.text;
    EXPECT_EQ(result.text, "cpu: 0 3 7, 2\n") << name;
    expect_contains(probe(environment + " NSAMETA_BACKEND=" + name, "run 1"), 1,
                    "NSAMETA_BACKEND=" + std::string(name) + " is not usable. Backends: ");
  }
}

TEST(environment, a_relative_backend_dir_is_never_searched) {
  const std::string relative = "NSAMETA_BACKEND_DIR=" + kPlugins.substr(1) + "/good";  // right from "/"
  const outcome result = probe("NSAMETA_LOG=warn " + relative, "list");
  expect_contains(result, 0, "nsameta [warn] " + relative + " is ignored: it must be an absolute path\n");
  EXPECT_EQ(result.text.find("good: usable"), std::string::npos) << result.text;
}

TEST(environment, booleans_that_are_none) {
  for (const char* value : {"", "maybe", "off"}) {
    expect_contains(probe(std::string("SGLANG_NSA_USE_TRITON_METADATA=") + value, "run 1"), 1,
                    std::string("NSAMETA_INVALID_ARGUMENT: SGLANG_NSA_USE_TRITON_METADATA=\"") + value +
                        "\" is not a boolean: true, 1, yes, y or false, 0, no, n, in any case");
  }
  expect_contains(probe("SGLANG_NSA_USE_TRITON_METADATA=maybe", "select 1"), 1, "NSAMETA_INVALID_ARGUMENT");
}

TEST(environment, the_cpu_runs_as_told_or_not_at_all) {
  EXPECT_EQ(probe("NSAMETA_CPU_ISA=generic NSAMETA_CPU_THREADS=1", "run 1").text, "cpu: 0 3 7, 2\n");
  expect_contains(probe("NSAMETA_CPU_ISA=mmx", "run 1"), 1,
                  "NSAMETA_BACKEND_UNAVAILABLE: no usable backend reads cpu memory. Backends: ");
  expect_contains(probe("NSAMETA_CPU_ISA=mmx", "run 1"), 1,
                  "cpu: NSAMETA_CPU_ISA=mmx must be one of those that this CPU can run: ");
  expect_contains(probe("NSAMETA_CPU_THREADS=0", "run 1"), 1, "cpu: NSAMETA_CPU_THREADS=0 must be a number from 1 to ");
  expect_contains(probe(kNoGpu + " NSAMETA_CPU_ISA=mmx", "run 1"), 0, "good: ");  // not their concern
}

TEST(environment, device_memory_runs_staged_when_triton_is_off) {
  EXPECT_EQ(probe(kFakeGpu + " SGLANG_NSA_USE_TRITON_METADATA=0", "run 2").text, "cpu staged: 0 3 7, 2\n");
  EXPECT_EQ(probe(kFakeGpu + " SGLANG_NSA_USE_TRITON_METADATA=0", "select 2").text,
            "cpu staged: SGLANG_NSA_USE_TRITON_METADATA=0\n");
  expect_contains(probe(kFakeGpu, "run 2"), 1, "NSAMETA_DEVICE_ERROR: backend fake_gpu: this GPU is fake");
}

TEST(environment, an_override_is_logged_in_one_line) {
  const outcome result = probe(kFakeGpu + " NSAMETA_LOG=info SGLANG_NSA_USE_TRITON_METADATA=0", "run 2");
  EXPECT_EQ(count_lines_with(result, "nsameta ["), 1) << result.text;
  expect_contains(result, 0, "nsameta [info] backend cpu (staged) for cuda:0: SGLANG_NSA_USE_TRITON_METADATA=0\n");
}

TEST(environment, falling_back_is_logged_in_one_line_with_the_reasons) {
  const outcome result = probe("NSAMETA_LOG=info NSAMETA_BACKEND_DIR=" + kPlugins + "/probe_fails", "run 1");
  EXPECT_EQ(count_lines_with(result, "nsameta ["), 1) << result.text;
  expect_contains(result, 0, "nsameta [info] backend cpu for cpu:0: priority (");
  expect_contains(result, 0, "probe_fails: driver 1.2 is older than 3.4");
  EXPECT_EQ(count_lines_with(probe("NSAMETA_LOG=info " + kNoGpu, "run 1"), "nsameta ["), 0);  // the first choice
}

TEST(environment, log_levels) {
  expect_contains(probe("NSAMETA_LOG=debug", "list"), 0, "nsameta [debug] backend cpu: usable\n");
  EXPECT_EQ(count_lines_with(probe("NSAMETA_LOG=error", "run 1"), "nsameta ["), 0);
  const outcome unknown = probe("NSAMETA_LOG=loud", "run 1");
  EXPECT_EQ(count_lines_with(unknown, "nsameta ["), 1) << unknown.text;
  expect_contains(unknown, 0, "nsameta [warn] NSAMETA_LOG=loud is none of off, error, warn, info, debug; warn is used");
}

}  // namespace
