#include "backends/cuda/backend.h"
#include "backends/cuda/rt.h"
// The trait comes before the kernels that are written against it.
#include "backends/simt/launch_copy_metadata.h"

namespace nsameta::cuda {

nsameta_status copy_metadata(void* opaque, const nsameta_copy_metadata_desc* desc, void* stream) {
  if (desc->num_copies == 0) return NSAMETA_OK;
  const simt::gpu_state& state = backend::of(opaque);
  const backend::device_guard guard(state.device_id);
  const launcher launch{static_cast<cudaStream_t>(stream), state.device_id};
  return backend::check(simt::launch_copy_metadata<rt>(*desc, state.num_multiprocessors, launch), "copy_metadata");
}

}  // namespace nsameta::cuda
