// What the operations would launch. In a file of its own: beside the launches it would keep the compiler from inlining
// what both share, at 50 host instructions a call.
#include "backends/cuda/backend.h"
#include "backends/cuda/rt.h"
// The trait comes before the kernels that are written against it.
#include "backends/simt/launch_build_metadata.h"
#include "backends/simt/launch_copy_metadata.h"
#include "backends/simt/launch_map_topk_to_slots.h"
#include "backends/simt/mla_schedule.h"

namespace nsameta::cuda {

#define NSAMETA_OP(name)                                                                                            \
  nsameta_status explain_##name(const void* state, const nsameta_##name##_desc* desc, char* text, std::size_t size, \
                                std::size_t* needed) {                                                              \
    return backend::explain<rt>(state, desc, text, size, needed);                                                   \
  }
#include "core/ops.def"
#undef NSAMETA_OP

}  // namespace nsameta::cuda
