#include "backends/hip/backend.h"
#include "backends/hip/rt.h"
// The trait comes before the kernels that are written against it.
#include "backends/simt/launch_build_metadata.h"

namespace nsameta::hip {

nsameta_status build_metadata(void* opaque, const nsameta_build_metadata_desc* desc, void* stream) {
  const simt::gpu_state& state = backend::of(opaque);
  const backend::device_guard guard(state.device_id);
  const auto run = [&](auto launch, auto trait) {
    return simt::launch_build_metadata<decltype(trait)>(*desc, state, launch);
  };
  auto* const hip_stream = static_cast<hipStream_t>(stream);
  const hipError_t error =
      state.warp_width == 64 ? run(launcher<64>{hip_stream}, rt<64>{}) : run(launcher<32>{hip_stream}, rt<32>{});
  return backend::check(error, "build_metadata");
}

}  // namespace nsameta::hip
