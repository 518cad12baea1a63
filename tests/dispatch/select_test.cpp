#include "dispatch/select.h"

#include <gtest/gtest.h>

namespace nsameta::dispatch {
namespace {

constexpr nsameta_device kCpu{NSAMETA_DEVICE_CPU, 0};
constexpr nsameta_device kCuda{NSAMETA_DEVICE_CUDA, 0};
constexpr nsameta_device kRocm{NSAMETA_DEVICE_ROCM, 0};

const nsameta_backend kTable{};

backend_entry usable(const char* name, int32_t priority, int32_t device_type, int32_t num_devices) {
  backend_entry entry;
  entry.name = name;
  entry.table = &kTable;
  entry.priority = priority;
  entry.device_types = {device_type};
  entry.num_devices = num_devices;
  return entry;
}

backend_entry refused(const char* name, int32_t priority, int32_t device_type, const char* reason) {
  backend_entry entry = usable(name, priority, device_type, 0);
  entry.table = nullptr;
  entry.reason = reason;
  return entry;
}

// A machine with two NVIDIA GPUs.
const registry kNvidia{{usable("cuda", 300, NSAMETA_DEVICE_CUDA, 2), refused("hip", 200, NSAMETA_DEVICE_ROCM, "no hip"),
                        usable("cpu", 100, NSAMETA_DEVICE_CPU, 1)}};
const registry kCpuOnly{{refused("cuda", 300, NSAMETA_DEVICE_CUDA, "no driver"),
                         refused("hip", 200, NSAMETA_DEVICE_ROCM, "no hip"),
                         usable("cpu", 100, NSAMETA_DEVICE_CPU, 1)}};
// Host memory has two backends, the third party's before the CPU's.
const registry kThirdParty{{usable("acme", 500, NSAMETA_DEVICE_CPU, 1), usable("cuda", 300, NSAMETA_DEVICE_CUDA, 1),
                            usable("cpu", 100, NSAMETA_DEVICE_CPU, 1)}};

settings environment(const char* backend, const char* triton = nullptr) {
  return parse_settings(backend, triton, nullptr);
}

void expect_choice(const selection& chosen, const char* backend, bool staged, const char* reason, bool is_notable) {
  ASSERT_EQ(chosen.status, NSAMETA_OK) << chosen.message;
  EXPECT_EQ(chosen.backend->name, backend);
  EXPECT_EQ(chosen.staged(), staged);
  EXPECT_EQ(chosen.reason, reason);
  EXPECT_EQ(chosen.is_notable, is_notable);
}

void expect_refusal(const selection& chosen, nsameta_status status, const char* message) {
  EXPECT_EQ(chosen.status, status);
  EXPECT_EQ(chosen.message, message);
  EXPECT_EQ(chosen.backend, nullptr);
}

TEST(select, memory_decides) {
  expect_choice(select(kCuda, nullptr, {}, kNvidia), "cuda", false, "priority", false);
  expect_choice(select(kCpu, nullptr, {}, kNvidia), "cpu", false, "priority (hip: no hip)", true);
  expect_refusal(select(kRocm, nullptr, {}, kNvidia), NSAMETA_BACKEND_UNAVAILABLE,
                 "no usable backend reads rocm memory. Backends: cuda: usable, but reads cuda memory only; hip: no "
                 "hip; cpu: usable, but reads cpu memory only");
}

TEST(select, priority_decides_among_those_that_read_the_memory) {
  expect_choice(select(kCpu, nullptr, {}, kThirdParty), "acme", false, "priority", false);
  expect_choice(select(kCpu, "cpu", {}, kThirdParty), "cpu", false, "backend argument \"cpu\"", true);
}

TEST(select, falling_back_is_notable_and_says_why) {
  expect_choice(select(kCpu, nullptr, {}, kCpuOnly), "cpu", false, "priority (cuda: no driver; hip: no hip)", true);
}

TEST(select, auto_and_empty_are_not_given) {
  for (const char* name : {"", "auto"}) {
    expect_choice(select(kCuda, name, environment("cpu"), kNvidia), "cpu", true, "NSAMETA_BACKEND=cpu", true);
  }
}

TEST(select, precedence) {
  expect_choice(select(kCuda, "cuda", environment("cpu", "0"), kNvidia), "cuda", false, "backend argument \"cuda\"",
                false);
  expect_choice(select(kCuda, nullptr, environment("cuda", "0"), kNvidia), "cuda", false, "NSAMETA_BACKEND=cuda",
                false);
  expect_choice(select(kCuda, nullptr, environment("auto", "no"), kNvidia), "cpu", true,
                "SGLANG_NSA_USE_TRITON_METADATA=no", true);
  expect_choice(select(kCuda, nullptr, environment(nullptr, "1"), kNvidia), "cuda", false, "priority", false);
}

TEST(select, staged_runs_name_the_owner) {
  const selection chosen = select({NSAMETA_DEVICE_CUDA, 1}, "cpu", {}, kNvidia);
  expect_choice(chosen, "cpu", true, "backend argument \"cpu\"", true);
  EXPECT_EQ(chosen.owner->name, "cuda");
}

TEST(select, staging_needs_a_usable_owner) {
  expect_refusal(select(kCuda, "cpu", {}, kCpuOnly), NSAMETA_BACKEND_UNAVAILABLE,
                 "backend argument \"cpu\" needs a backend that can copy cuda memory to the host, and none is usable. "
                 "Backends: cuda: no driver; hip: no hip; cpu: usable, but reads cpu memory only");
}

TEST(select, only_the_cpu_runs_staged) {
  expect_refusal(select(kCpu, nullptr, environment("cuda"), kNvidia), NSAMETA_BACKEND_UNAVAILABLE,
                 "NSAMETA_BACKEND=cuda does not read cpu memory. Backends: cuda: usable, but reads cuda memory only; "
                 "hip: no hip; cpu: usable");
  EXPECT_EQ(select(kCuda, "acme", {}, kThirdParty).status, NSAMETA_BACKEND_UNAVAILABLE);
}

TEST(select, unknown_and_unusable_names_are_never_replaced) {
  expect_refusal(select(kCpu, nullptr, environment("nonsense"), kCpuOnly), NSAMETA_BACKEND_UNAVAILABLE,
                 "NSAMETA_BACKEND=nonsense is not a backend. Backends: cuda: no driver; hip: no hip; cpu: usable");
  expect_refusal(select(kCpu, "CPU", {}, kCpuOnly), NSAMETA_BACKEND_UNAVAILABLE,
                 "backend argument \"CPU\" is not a backend. Backends: cuda: no driver; hip: no hip; cpu: usable");
  expect_refusal(select(kCuda, "cuda", {}, kCpuOnly), NSAMETA_BACKEND_UNAVAILABLE,
                 "backend argument \"cuda\" is not usable. Backends: cuda: no driver; hip: no hip; cpu: usable, but "
                 "reads cpu memory only");
}

TEST(select, device_ids_outside_the_machine) {
  constexpr const char* kMessage = "device id 2 of cuda memory must be in [0, 2): backend cuda has 2 devices";
  for (const char* name : {"auto", "cuda", "cpu"}) {
    expect_refusal(select({NSAMETA_DEVICE_CUDA, 2}, name, {}, kNvidia), NSAMETA_INVALID_ARGUMENT, kMessage);
  }
  expect_refusal(select({NSAMETA_DEVICE_CPU, -1}, nullptr, {}, kNvidia), NSAMETA_INVALID_ARGUMENT,
                 "device id -1 of cpu memory must be in [0, 1): backend cpu has 1 device");
}

TEST(select, unknown_device_types) {
  expect_refusal(select({7, 0}, nullptr, {}, kNvidia), NSAMETA_INVALID_ARGUMENT,
                 "device type 7 must be 1 (cpu), 2 (cuda) or 10 (rocm)");
}

TEST(select, an_unreadable_override_stops_every_choice) {
  const settings broken = environment(nullptr, "maybe");
  expect_refusal(select(kCpu, "cpu", broken, kNvidia), NSAMETA_INVALID_ARGUMENT, broken.error.c_str());
}

}  // namespace
}  // namespace nsameta::dispatch
