// What counting_gpu would launch, beside its launches as in the real backends.
#include "tests/counts/counting_gpu.h"
#include "tests/support/emu/api.h"
// The trait comes before the kernels that are written against it.
#include "backends/simt/launch_build_metadata.h"
#include "backends/simt/launch_copy_metadata.h"
#include "backends/simt/launch_map_topk_to_slots.h"
#include "backends/simt/mla_schedule.h"

namespace nsameta::counts {

#define NSAMETA_OP(name)                                                                                            \
  nsameta_status explain_##name(const void* state, const nsameta_##name##_desc* desc, char* text, std::size_t size, \
                                std::size_t* needed) {                                                              \
    return simt::gpu_backend<emu::api<32>>::explain<emu::rt<32>>(state, desc, text, size, needed);                  \
  }
#include "core/ops.def"
#undef NSAMETA_OP

}  // namespace nsameta::counts
