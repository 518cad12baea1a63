#include "backends/hip/backend.h"
#include "backends/hip/rt.h"
// The trait comes before the kernels that are written against it.
#include "backends/simt/mla_schedule.h"

namespace nsameta::hip {

nsameta_status mla_schedule(void* opaque, const nsameta_mla_schedule_desc* desc, void* stream) {
  const simt::gpu_state& state = backend::of(opaque);
  const backend::device_guard guard(state.device_id);
  auto* const hip_stream = static_cast<hipStream_t>(stream);
  const hipError_t error = state.warp_width == 64
                               ? simt::launch_mla_schedule<rt<64>>(*desc, state.fault_word, launcher<64>{hip_stream})
                               : simt::launch_mla_schedule<rt<32>>(*desc, state.fault_word, launcher<32>{hip_stream});
  return backend::check(error, "mla_schedule");
}

}  // namespace nsameta::hip
