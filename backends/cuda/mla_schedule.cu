#include "backends/cuda/backend.h"
#include "backends/cuda/rt.h"
// The trait comes before the kernels that are written against it.
#include "backends/simt/mla_schedule.h"

namespace nsameta::cuda {

nsameta_status mla_schedule(void* opaque, const nsameta_mla_schedule_desc* desc, void* stream) {
  const simt::gpu_state& state = backend::of(opaque);
  const backend::device_guard guard(state.device_id);
  const launcher launch{static_cast<cudaStream_t>(stream), state.device_id};
  return backend::check(simt::launch_mla_schedule<rt>(*desc, state.fault_word, launch), "mla_schedule");
}

}  // namespace nsameta::cuda
