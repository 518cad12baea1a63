#include "bench/load/library_process.h"

#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/load/stages.h"
#include "nsameta/device.h"

namespace nsameta::bench {
namespace {

constexpr std::int64_t kBatch = 32;
constexpr std::int64_t kTokens = 4 * kBatch;
constexpr std::size_t kBytes = static_cast<std::size_t>(2 * kBatch + 2 * kTokens) * sizeof(std::int32_t);

void* open_library(const std::string& path) {
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(dlerror());
  return library;
}

// Bound before anything is timed, as the loader does for a program that links the library.
struct functions {
#define NSAMETA_FUNCTION(name) decltype(&::name) name;
#define NSAMETA_FUNCTIONS                            \
  NSAMETA_FUNCTION(nsameta_num_backends)             \
  NSAMETA_FUNCTION(nsameta_context_create)           \
  NSAMETA_FUNCTION(nsameta_context_backend)          \
  NSAMETA_FUNCTION(nsameta_last_error_message)       \
  NSAMETA_FUNCTION(nsameta_device_alloc)             \
  NSAMETA_FUNCTION(nsameta_copy_to_device)           \
  NSAMETA_FUNCTION(nsameta_synchronize)              \
  NSAMETA_FUNCTION(nsameta_build_metadata_args_init) \
  NSAMETA_FUNCTION(nsameta_build_metadata)
  NSAMETA_FUNCTIONS
#undef NSAMETA_FUNCTION

  explicit functions(void* library) {
#define NSAMETA_FUNCTION(function)                                            \
  function = reinterpret_cast<decltype(function)>(dlsym(library, #function)); \
  if (function == nullptr) throw std::runtime_error(dlerror());
    NSAMETA_FUNCTIONS
#undef NSAMETA_FUNCTION
  }
};

class first_use {
 public:
  first_use(void* library, nsameta_device device) : call_(library), device_(device) {}

  void run(stage_times* times) {
    times->run(PROBE, [&] { return call_.nsameta_num_backends(); });
    check(times->run(CREATE, [&] { return call_.nsameta_context_create(device_, nullptr, &context_); }));
    check(times->run(ALLOCATE, [&] { return allocate(); }));
    const auto args = make_args();
    check(times->run(FIRST, [&] { return build(args); }));
    check(times->run(SECOND, [&] { return build(args); }));
  }

  const char* backend() const { return call_.nsameta_context_backend(context_); }

 private:
  void check(nsameta_status status) const {
    if (status != NSAMETA_OK) throw std::runtime_error(call_.nsameta_last_error_message());
  }

  nsameta_status allocate() {
    void* data = nullptr;
    const auto status = call_.nsameta_device_alloc(context_, kBytes, &data);
    if (status != NSAMETA_OK) return status;
    data_ = static_cast<std::int32_t*>(data);
    const std::vector<std::int32_t> filled(kBytes / sizeof(std::int32_t), 4);
    return call_.nsameta_copy_to_device(context_, data, filled.data(), kBytes, nullptr);
  }

  nsameta_tensor tensor(std::int64_t offset, std::int64_t size) const {
    return {data_ + offset, {size, 0}, {1, 0}, 1, NSAMETA_INT32, device_};
  }

  nsameta_build_metadata_args make_args() const {
    nsameta_build_metadata_args args;
    call_.nsameta_build_metadata_args_init(&args);
    args.mode = NSAMETA_MODE_DRAFT_EXTEND;
    args.topk = 2048;
    args.seq_lens = tensor(0, kBatch);
    args.extend_seq_lens = tensor(kBatch, kBatch);
    args.out.seqlens_expanded = tensor(2 * kBatch, kTokens);
    args.out.nsa_cache_seqlens = tensor(2 * kBatch + kTokens, kTokens);
    return args;
  }

  nsameta_status build(const nsameta_build_metadata_args& args) const {
    const auto status = call_.nsameta_build_metadata(context_, &args, nullptr);
    return status != NSAMETA_OK ? status : call_.nsameta_synchronize(context_, nullptr);
  }

  functions call_;
  nsameta_device device_;
  nsameta_context* context_ = nullptr;  // it and its memory end with the process
  std::int32_t* data_ = nullptr;
};

}  // namespace

int run_library_process(const std::string& library, nsameta_device device) {
  try {
    stage_times times;
    first_use use(times.run(LOAD, [&] { return open_library(library); }), device);
    use.run(&times);
    times.print(use.backend());
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", library.c_str(), e.what());
    return 1;
  }
}

}  // namespace nsameta::bench
