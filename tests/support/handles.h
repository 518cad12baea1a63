// Plans and graphs that end with their owner.
#pragma once

#include <memory>

#include "nsameta/device.h"
#include "nsameta/nsameta.h"

namespace nsameta::test {

struct plan_deleter {
  void operator()(nsameta_plan* plan) const { nsameta_plan_destroy(plan); }
};
using plan_handle = std::unique_ptr<nsameta_plan, plan_deleter>;

struct graph_deleter {
  void operator()(nsameta_graph* graph) const { nsameta_graph_destroy(graph); }
};
using graph_handle = std::unique_ptr<nsameta_graph, graph_deleter>;

}  // namespace nsameta::test
