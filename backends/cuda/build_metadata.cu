#include "backends/cuda/backend.h"
#include "backends/cuda/rt.h"
// The trait comes before the kernels that are written against it.
#include "backends/simt/launch_build_metadata.h"

namespace nsameta::cuda {

namespace {

auto choice(const void* opaque, const nsameta_build_metadata_desc& desc) {
  return [&state = backend::of(opaque), &desc](simt::prepared_launch<api>* prepared) {
    const launcher launch{nullptr, state.device_id, desc.programmatic_launch != 0};
    return simt::launch_build_metadata<rt>(desc, state, simt::keeping_launcher<api, launcher>{prepared, launch});
  };
}

}  // namespace

nsameta_status build_metadata(void* opaque, const nsameta_build_metadata_desc* desc, void* stream) {
  return backend::launch(opaque, "build_metadata", choice(opaque, *desc), stream);
}

nsameta_status prepare_build_metadata(const void* opaque, const nsameta_build_metadata_desc* desc, void** prepared) {
  return backend::prepare("build_metadata", choice(opaque, *desc), prepared);
}

}  // namespace nsameta::cuda
