// A backend that launches nothing but counts: the host side of the CUDA and HIP backends (launch_*.h, gpu_backend.h)
// over a runtime whose functions do nothing. What the vendor's runtime costs is left out, and so is the guard's query
// of the current device.
#include "tests/counts/counting_gpu.h"

#include "tests/support/emu/api.h"
// The trait comes before the kernels that are written against it.
#include "backends/simt/launch_build_metadata.h"
#include "backends/simt/launch_copy_metadata.h"
#include "backends/simt/launch_map_topk_to_slots.h"
#include "backends/simt/mla_schedule.h"

namespace nsameta::emu {

std::string& failure_text() {
  static std::string text;
  return text;
}

}  // namespace nsameta::emu

namespace nsameta::counts {
namespace {

launch_record record;

// The emulator's runtime with the multiprocessors of an H200, since policies depend on them.
struct api : emu::api<32> {
  static error device_get_attribute(int* value, attribute a, int id) {
    const error result = emu::api<32>::device_get_attribute(value, a, id);
    if (a == kMultiprocessorCount) *value = 132;
    return result;
  }
};

using backend = simt::gpu_backend<api>;
using trait = emu::rt<32>;

template <class Kernel>
inline const std::string kKernelName = emu::kernel_name<Kernel>();

// Out of line, and with the parameters seen by code that the compiler does not know, as a launch is.
__attribute__((noinline)) api::error count_launch(const char* kernel, int num_blocks, int block_threads,
                                                  const void* params) {
  asm volatile("" ::"r"(params) : "memory");
  record = {record.num_launches + 1, kernel, num_blocks, block_threads};
  return api::kSuccess;
}

struct launcher {
  api::stream stream;

  template <class Kernel>
  api::error operator()(int num_blocks, int block_threads, const typename Kernel::params& params, int = 1,
                        int = 1) const {
    return count_launch(kKernelName<Kernel>.c_str(), num_blocks, block_threads, &params);
  }
};

auto choice(const void* opaque, const nsameta_build_metadata_desc& desc) {
  return [&state = backend::of(opaque), &desc](simt::prepared_launch<api>* prepared) {
    const simt::keeping_launcher<api, launcher> keep{prepared, {}};
    return simt::launch_build_metadata<trait>(desc, state, keep);
  };
}

nsameta_status build_metadata(void* opaque, const nsameta_build_metadata_desc* desc, void* stream) {
  return backend::launch(opaque, "build_metadata", choice(opaque, *desc), stream);
}

nsameta_status prepare_build_metadata(const void* opaque, const nsameta_build_metadata_desc* desc, void** prepared) {
  return backend::prepare("build_metadata", choice(opaque, *desc), prepared);
}

nsameta_status copy_metadata(void* opaque, const nsameta_copy_metadata_desc* desc, void*) {
  if (desc->num_copies == 0) return NSAMETA_OK;
  const simt::gpu_state& state = backend::of(opaque);
  const backend::device_guard guard(state.device_id);
  return backend::check(simt::launch_copy_metadata<trait>(*desc, state.num_multiprocessors, launcher{nullptr}),
                        "copy_metadata");
}

nsameta_status map_topk_to_slots(void* opaque, const nsameta_map_topk_to_slots_desc* desc, void*) {
  if (desc->num_tokens == 0 || desc->num_topk == 0) return NSAMETA_OK;
  const simt::gpu_state& state = backend::of(opaque);
  const backend::device_guard guard(state.device_id);
  return backend::check(
      simt::launch_map_topk_to_slots<trait>(*desc, state.fault_word, state.num_multiprocessors, launcher{nullptr}),
      "map_topk_to_slots");
}

nsameta_status mla_schedule(void* opaque, const nsameta_mla_schedule_desc* desc, void*) {
  const simt::gpu_state& state = backend::of(opaque);
  const backend::device_guard guard(state.device_id);
  return backend::check(simt::launch_mla_schedule<trait>(*desc, state.fault_word, launcher{nullptr}), "mla_schedule");
}

nsameta_status probe(std::int32_t* num_devices) {
  *num_devices = 1;
  return NSAMETA_OK;
}

nsameta_backend make_table() {
  nsameta_backend table = backend::make_table("counting_gpu", 1, probe);
  table.num_device_types = 1;
  table.device_types[0] = NSAMETA_DEVICE_CUDA;
#define NSAMETA_OP(name) \
  table.name = name;     \
  table.explain_##name = explain_##name;
#include "core/ops.def"
#undef NSAMETA_OP
  table.prepare_build_metadata = prepare_build_metadata;
  return table;
}

}  // namespace
}  // namespace nsameta::counts

const nsameta::counts::launch_record* nsameta_counting_gpu_record() { return &nsameta::counts::record; }

extern "C" __attribute__((visibility("default"))) const nsameta_backend* nsameta_backend_entry(std::uint32_t) {
  static const nsameta_backend table = nsameta::counts::make_table();
  return &table;
}
