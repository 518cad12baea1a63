// The benchmarks of the CPU backend. Each function registers some.
#pragma once

#include <benchmark/benchmark.h>

#include <string>

#include "nsameta/nsameta.hpp"

namespace nsameta::bench {

void register_cases();     // <group>/<shape>: every case of bench/cases.json, with all threads
void register_scaling();   // scaling/...: the seed operation by batch, tokens and threads
void register_enqueue();   // enqueue/...: what a call costs the host
void register_crossing();  // crossing/...: one thread against all, whatever the policy would choose

const context& cpu_context();

// Ends the benchmark, and makes the program exit with 1.
void fail(benchmark::State& state, const std::string& message);
bool has_failed();

}  // namespace nsameta::bench
