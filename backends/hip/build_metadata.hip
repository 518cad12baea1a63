#include "backends/hip/backend.h"
#include "backends/hip/rt.h"
// The trait comes before the kernels that are written against it.
#include "backends/simt/launch_build_metadata.h"

namespace nsameta::hip {

namespace {

template <int kWidth>
hipError_t choose(const nsameta_build_metadata_desc& desc, const simt::gpu_state& state,
                  simt::prepared_launch<api>* prepared) {
  const simt::keeping_launcher<api, launcher<kWidth>> keep{prepared, {nullptr}};
  return simt::launch_build_metadata<rt<kWidth>>(desc, state, keep);
}

auto choice(const void* opaque, const nsameta_build_metadata_desc& desc) {
  return [&state = backend::of(opaque), &desc](simt::prepared_launch<api>* prepared) {
    return state.warp_width == 64 ? choose<64>(desc, state, prepared) : choose<32>(desc, state, prepared);
  };
}

}  // namespace

nsameta_status build_metadata(void* opaque, const nsameta_build_metadata_desc* desc, void* stream) {
  return backend::launch(opaque, "build_metadata", choice(opaque, *desc), stream);
}

nsameta_status prepare_build_metadata(const void* opaque, const nsameta_build_metadata_desc* desc, void** prepared) {
  return backend::prepare("build_metadata", choice(opaque, *desc), prepared);
}

}  // namespace nsameta::hip
