// The threads that work for a context.
#pragma once

#include <tbb/task_arena.h>

#include <cstdint>
#include <optional>

#include "backends/cpu/policy.h"

namespace nsameta::cpu {

class workers {
 public:
  // num_threads: at most so many, the caller being one of them; 0: as many as the arena that the caller is in.
  explicit workers(int num_threads);

  // Calls body(), which writes at most `max_bytes` and may use oneTBB's parallel loops: where one thread is enough, or
  // the caller's arena will do, in place.
  template <typename Body>
  void run(int64_t max_bytes, const policy& policy, const Body& body) {
    if (max_bytes >= policy.min_parallel_bytes) {
      if (one_node_ && max_bytes < policy.min_all_nodes_bytes) return one_node_->execute(body);
      if (all_) return all_->execute(body);
    }
    body();
  }
  // Whether run() would always call in place, so that nobody need know the bytes.
  bool are_callers() const { return !all_ && !one_node_; }

 private:
  std::optional<tbb::task_arena> all_;       // only of a limited number
  std::optional<tbb::task_arena> one_node_;  // only where memory has several nodes, and oneTBB knows them
};

}  // namespace nsameta::cpu
