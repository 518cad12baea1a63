// Which workload a replay runs on.
#pragma once

#include <cstdint>
#include <string>

#include "cli/trace.h"

namespace nsameta::cli {

struct trace_source {
  std::string path;  // "": the first trace found, else the synthetic workload
  trace_format format = trace_format::auto_detect;
  int32_t num_synthetic_requests = 12'000;
  uint64_t seed = 0;
};

// The first trace in $NSAMETA_TRACES (a file or a folder), ./traces and ../shared/traces, those with "mooncake" in
// their name first; "" when there is none. Throws usage_error when NSAMETA_TRACES names nothing that exists.
std::string find_trace();

trace load_trace(const trace_source& source);

// One line on what is replayed, e.g. "trace a.jsonl: 12,031 requests over 3,537 s".
std::string describe(const trace& requests);

}  // namespace nsameta::cli
