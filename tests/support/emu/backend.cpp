// A backend that executes the kernels of the GPU backends on the host, with waves of NSAMETA_EMU_WIDTH lanes.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>

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

namespace {

class launch_log {
 public:
  std::uint64_t& count(const std::string& kernel) { return counts_[kernel]; }
  ~launch_log() {
    const char* const path = std::getenv("NSAMETA_EMU_KERNELS");
    if (path == nullptr) return;
    std::ofstream file(path);
    for (const auto& [kernel, count] : counts_) file << count << " " << kernel << "\n";
  }

 private:
  std::map<std::string, std::uint64_t> counts_;
};

}  // namespace

launch_counter::launch_counter(const std::string& kernel) {
  static launch_log log;
  count_ = &log.count(kernel);
}

std::uint64_t next_seed() {
  static const char* const given = std::getenv("NSAMETA_TEST_SEED");
  static std::uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  return seed++;
}

namespace {

constexpr int kWidth = NSAMETA_EMU_WIDTH;
using backend = simt::gpu_backend<api<kWidth>>;
using trait = rt<kWidth>;

launcher<kWidth> launch_on(void* stream) { return {static_cast<stream_state*>(stream)}; }

auto choice(const void* opaque, const nsameta_build_metadata_desc& desc) {
  return [&state = backend::of(opaque), &desc](simt::prepared_launch<api<kWidth>>* prepared) {
    const simt::keeping_launcher<api<kWidth>, launcher<kWidth>> keep{prepared, {nullptr}};
    return simt::launch_build_metadata<trait>(desc, state, keep);
  };
}

nsameta_status build_metadata(void* opaque, const nsameta_build_metadata_desc* desc, void* stream) {
  return backend::launch(opaque, "build_metadata", choice(opaque, *desc), stream);
}

nsameta_status prepare_build_metadata(const void* opaque, const nsameta_build_metadata_desc* desc, void** prepared) {
  return backend::prepare("build_metadata", choice(opaque, *desc), prepared);
}

nsameta_status copy_metadata(void* opaque, const nsameta_copy_metadata_desc* desc, void* stream) {
  if (desc->num_copies == 0) return NSAMETA_OK;
  return backend::check(
      simt::launch_copy_metadata<trait>(*desc, backend::of(opaque).num_multiprocessors, launch_on(stream)),
      "copy_metadata");
}

nsameta_status map_topk_to_slots(void* opaque, const nsameta_map_topk_to_slots_desc* desc, void* stream) {
  if (desc->num_tokens == 0 || desc->num_topk == 0) return NSAMETA_OK;
  const auto& state = backend::of(opaque);
  return backend::check(
      simt::launch_map_topk_to_slots<trait>(*desc, state.fault_word, state.num_multiprocessors, launch_on(stream)),
      "map_topk_to_slots");
}

nsameta_status mla_schedule(void* opaque, const nsameta_mla_schedule_desc* desc, void* stream) {
  return backend::check(simt::launch_mla_schedule<trait>(*desc, backend::of(opaque).fault_word, launch_on(stream)),
                        "mla_schedule");
}

nsameta_status probe(std::int32_t* num_devices) {
  *num_devices = 1;
  return NSAMETA_OK;
}

nsameta_backend make_table() {
  static char name[16];
  std::snprintf(name, sizeof(name), "emu%d", kWidth);
  nsameta_backend table = backend::make_table(name, kWidth == 32 ? 3 : 2, probe);
  table.num_device_types = 1;
  table.device_types[0] = NSAMETA_DEVICE_CUDA;
#define NSAMETA_OP(name) \
  table.name = name;     \
  table.explain_##name = backend::explain<trait, nsameta_##name##_desc>;
#include "core/ops.def"
#undef NSAMETA_OP
  table.prepare_build_metadata = prepare_build_metadata;
  return table;
}

}  // namespace
}  // namespace nsameta::emu

extern "C" __attribute__((visibility("default"))) const nsameta_backend* nsameta_backend_entry(std::uint32_t) {
  static const nsameta_backend table = nsameta::emu::make_table();
  return &table;
}
