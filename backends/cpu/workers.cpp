#include "backends/cpu/workers.h"

#include <tbb/info.h>

#include <fstream>
#include <string>

namespace nsameta::cpu {
namespace {

// From Linux: oneTBB loads a library to find out, which is not worth it on a machine of one node.
bool has_several_nodes() {
  std::string nodes;
  std::ifstream("/sys/devices/system/node/online") >> nodes;
  return nodes.find_first_of(",-") != std::string::npos;
}

}  // namespace

workers::workers(int num_threads) {
  if (num_threads > 0) all_.emplace(num_threads);
  if (!has_several_nodes()) return;
  const std::vector<tbb::numa_node_id> nodes = tbb::info::numa_nodes();
  if (nodes.size() < 2) return;
  const int node_threads = tbb::info::default_concurrency(nodes.front());
  const int most = num_threads > 0 && num_threads < node_threads ? num_threads : node_threads;
  one_node_.emplace(tbb::task_arena::constraints(nodes.front(), most));
}

}  // namespace nsameta::cpu
