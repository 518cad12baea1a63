#include "backends/cuda/backend.h"
#include "backends/cuda/rt.h"
// The trait comes before the kernels that are written against it.
#include "backends/simt/launch_build_metadata.h"

namespace nsameta::cuda {

nsameta_status build_metadata(void* opaque, const nsameta_build_metadata_desc* desc, void* stream) {
  const simt::gpu_state& state = backend::of(opaque);
  const backend::device_guard guard(state.device_id);
  const launcher launch{static_cast<cudaStream_t>(stream), state.device_id, desc->programmatic_launch != 0};
  return backend::check(simt::launch_build_metadata<rt>(*desc, state, launch), "build_metadata");
}

}  // namespace nsameta::cuda
