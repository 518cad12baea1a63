// The stages from the start of a process to its first results, and how a process tells what each took: a line with the
// name of what ran, then microseconds, a line a stage; -1 where it has no such stage.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <iterator>

namespace nsameta::bench {

struct stage {
  const char* what;
  const char* bare;  // what a bare program does there; "" when it has no such stage
};

inline constexpr stage kStages[] = {
    {"load the library", ""},
    {"load and probe the backends", "cudaGetDeviceCount"},
    {"create the context", "cudaSetDevice, cudaFree(0)"},
    {"allocate and fill memory", "cudaMalloc, cudaMemcpy"},
    {"first call", "first kernel"},
    {"second call", "second kernel"},
};
inline constexpr std::size_t kNumStages = std::size(kStages);
enum stage_index { LOAD, PROBE, CREATE, ALLOCATE, FIRST, SECOND };

class stage_times {
 public:
  stage_times() {
    for (double& time : us_) time = -1;
  }

  // Runs the body as that stage and passes on what it returns.
  template <class Body>
  auto run(stage_index stage, const Body& body) {
    const auto begin = std::chrono::steady_clock::now();
    const auto result = body();
    us_[stage] = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
    return result;
  }

  void print(const char* what_ran) const {
    std::printf("%s\n", what_ran);
    for (const double time : us_) std::printf("%.3f\n", time);
  }

 private:
  double us_[kNumStages];
};

}  // namespace nsameta::bench
