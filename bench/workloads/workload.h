// A case with buffers in the memory of a context: what the benchmarks run, check and count.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/workloads/case_list.h"
#include "nsameta/nsameta.hpp"

namespace nsameta::bench {

// A way to run the same build.
struct variant {
  std::string name;
  bool has_kv_bound = false;     // the host knows how long contexts are at most
  bool is_programmatic = false;  // launches may begin beside those before them
};

// One set of buffers of a case, and the arguments bound to them.
class workload {
 public:
  workload() = default;
  virtual ~workload() = default;
  workload(const workload&) = delete;
  workload& operator=(const workload&) = delete;

  virtual plan make_plan(const variant& way) const = 0;
  virtual void run_once(void* stream) const = 0;  // without a plan
  // The bound that variants with one pass to the plan.
  virtual int64_t kv_bound() const { return -1; }
  // Overwrites what a run writes with values that no result has.
  virtual void spoil() = 0;
  // Elements that differ from the oracle's, once a run is over.
  virtual int64_t num_wrong() const = 0;
};

// Makes the sets of buffers of a case, one after the other.
class workload_source {
 public:
  workload_source() = default;
  virtual ~workload_source() = default;
  workload_source(const workload_source&) = delete;
  workload_source& operator=(const workload_source&) = delete;

  virtual std::unique_ptr<workload> next() = 0;
  // What one run reads and writes, each cell once; entries that are alone in their sector of 32 bytes count as one.
  virtual double bytes() const = 0;
  // The first is the usual one.
  virtual std::vector<variant> variants() const { return {{"plain"}}; }
};

// The context must outlive it.
std::unique_ptr<workload_source> make_source(const context& owner, const bench_case& c);

inline constexpr int64_t kSectorBytes = 32;

}  // namespace nsameta::bench
