#include "bench/workloads/workload.h"

#include <stdexcept>

#include "bench/workloads/build_workload.h"
#include "bench/workloads/copy_workload.h"
#include "bench/workloads/mla_workload.h"
#include "bench/workloads/topk_workload.h"

namespace nsameta::bench {

std::unique_ptr<workload_source> make_source(const context& owner, const bench_case& c) {
  switch (c.op) {
    case NSAMETA_OP_BUILD_METADATA: return std::make_unique<build_source>(owner, c);
    case NSAMETA_OP_COPY_METADATA: return std::make_unique<copy_source>(owner, c);
    case NSAMETA_OP_MAP_TOPK_TO_SLOTS: return std::make_unique<topk_source>(owner, c);
    case NSAMETA_OP_MLA_SCHEDULE: return std::make_unique<mla_source>(owner, c);
  }
  throw std::invalid_argument("unknown operation of " + c.name);
}

}  // namespace nsameta::bench
