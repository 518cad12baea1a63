#include "backends/cuda/backend.h"
#include "backends/cuda/rt.h"
// The trait comes before the kernels that are written against it.
#include "backends/simt/launch_map_topk_to_slots.h"

namespace nsameta::cuda {

nsameta_status map_topk_to_slots(void* opaque, const nsameta_map_topk_to_slots_desc* desc, void* stream) {
  if (desc->num_tokens == 0 || desc->num_topk == 0) return NSAMETA_OK;
  const simt::gpu_state& state = backend::of(opaque);
  const backend::device_guard guard(state.device_id);
  const launcher launch{static_cast<cudaStream_t>(stream), state.device_id};
  return backend::check(simt::launch_map_topk_to_slots<rt>(*desc, state.fault_word, state.num_multiprocessors, launch),
                        "map_topk_to_slots");
}

}  // namespace nsameta::cuda
