// A workload for machines without a trace, drawn to the figures published for the Mooncake conversation trace.
#pragma once

#include <cstdint>

#include "cli/trace.h"

namespace nsameta::cli {

inline constexpr int32_t kSyntheticPromptMedian = 6909;
inline constexpr int32_t kSyntheticPromptP90 = 27367;
inline constexpr int32_t kSyntheticPromptMax = 126195;
inline constexpr int32_t kSyntheticOutputMedian = 350;
inline constexpr int32_t kSyntheticOutputMax = 2000;
inline constexpr double kSyntheticRequestsPerSecond = 3.4;

// Poisson arrivals; prompts and outputs log-normal, cut at the published maximum. No shared prefixes.
trace make_synthetic_trace(int32_t num_requests, uint64_t seed);

}  // namespace nsameta::cli
