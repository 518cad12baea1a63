// What the operations would launch. In a file of its own: beside the launches it would keep the compiler from inlining
// what both share, at 50 host instructions a call.
#include "backends/hip/backend.h"
#include "backends/hip/rt.h"
// The trait comes before the kernels that are written against it.
#include "backends/simt/launch_build_metadata.h"
#include "backends/simt/launch_copy_metadata.h"
#include "backends/simt/launch_map_topk_to_slots.h"
#include "backends/simt/mla_schedule.h"

namespace nsameta::hip {

#define NSAMETA_OP(name)                                                                                            \
  nsameta_status explain_##name(const void* state, const nsameta_##name##_desc* desc, char* text, std::size_t size, \
                                std::size_t* needed) {                                                              \
    return backend::of(state).warp_width == 64 ? backend::explain<rt<64>>(state, desc, text, size, needed)          \
                                               : backend::explain<rt<32>>(state, desc, text, size, needed);         \
  }
#include "core/ops.def"
#undef NSAMETA_OP

}  // namespace nsameta::hip
