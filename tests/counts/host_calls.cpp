// Makes every counted call on the CPU backend and on counting_gpu, which NSAMETA_BACKEND_DIR must lead to. Prints one
// line a call: its name, the launches that it made, and the last kernel with its grid. Under callgrind, with
// --toggle-collect=measured_call --dump-after=measured_call, the n-th dump has the instructions of the n-th line.
#include <dlfcn.h>

#include <cstdio>
#include <stdexcept>
#include <string>

#include "tests/counts/counted_calls.h"
#include "tests/counts/counting_gpu.h"

// Out of line, and with a name that callgrind finds.
extern "C" __attribute__((noinline)) void measured_call(const nsameta::counts::counted_call& call) {
  call.run();
  asm volatile("" ::: "memory");  // not a tail call, which would leave before the work is done
}

namespace nsameta::counts {
namespace {

const launch_record& launches_of_counting_gpu() {
  for (const auto& backend : backends()) {
    if (backend.name != "counting_gpu") continue;
    void* const library = dlopen(backend.path.c_str(), RTLD_NOW | RTLD_NOLOAD);
    void* const function = library == nullptr ? nullptr : dlsym(library, "nsameta_counting_gpu_record");
    if (function == nullptr) throw std::runtime_error("counting_gpu: " + backend.reason);
    return *reinterpret_cast<decltype(&nsameta_counting_gpu_record)>(function)();
  }
  throw std::runtime_error("backend counting_gpu is missing: set NSAMETA_BACKEND_DIR to its folder");
}

// The first call binds symbols and fills caches of the library; the second is what every later one is like.
void warm_up(const std::vector<counted_call>& calls) {
  for (const auto& call : calls) {
    for (int i = 0; i < 2; ++i) call.run();
  }
}

void count_on_cpu() {
  const context on(kCpuDevice, "cpu");
  tensor_memory memory(on.device());
  const auto calls = make_counted_calls(on, &memory);
  warm_up(calls);
  for (const auto& call : calls) {
    const std::uint64_t before = on.num_launches();
    measured_call(call);
    std::printf("cpu.%s %d -\n", call.name.c_str(), static_cast<int>(on.num_launches() - before));
  }
}

// A plan explains the launch that it makes.
void check_explanation(const counted_call& call, const launch_record& record) {
  if (!call.explain) return;
  const std::string text = call.explain();
  const std::string grid =
      "blocks: " + std::to_string(record.num_blocks) + "\nthreads: " + std::to_string(record.block_threads) + "\n";
  const std::string kernel = record.kernel;
  const bool is_right = text.find(grid) != std::string::npos &&
                        text.find("\nkernel: " + kernel.substr(0, kernel.find('<'))) != std::string::npos;
  if (!is_right) throw std::runtime_error(call.name + " launches " + kernel + ", " + grid + "but explains\n" + text);
}

void count_on_gpu() {
  const context on({NSAMETA_DEVICE_CUDA, 0}, "counting_gpu");
  const launch_record& record = launches_of_counting_gpu();
  tensor_memory memory(on.device());
  const auto calls = make_counted_calls(on, &memory);
  warm_up(calls);
  for (const auto& call : calls) {
    const std::uint64_t before = record.num_launches;
    measured_call(call);
    std::printf("gpu.%s %d %s,%dx%d\n", call.name.c_str(), static_cast<int>(record.num_launches - before),
                record.kernel, record.num_blocks, record.block_threads);
    check_explanation(call, record);
  }
}

}  // namespace
}  // namespace nsameta::counts

int main() {
  try {
    nsameta::counts::count_on_cpu();
    nsameta::counts::count_on_gpu();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
