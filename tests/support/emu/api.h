// An emulated GPU's runtime as backends/simt/gpu_backend.h sees it: device memory is the host's, a stream runs each
// launch at once, a graph keeps launches and repeats them.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <string>
#include <vector>

#include "backends/simt/gpu_backend.h"
#include "tests/support/emu/rt.h"

namespace nsameta::emu {

enum class error { SUCCESS, OUT_OF_MEMORY, KERNEL_FAILED };
enum class attribute { MULTIPROCESSOR_COUNT, WARP_SIZE };
enum class copy_kind { TO_DEVICE, TO_HOST };

using launches = std::vector<std::function<error()>>;

struct stream_state {
  bool is_capturing = false;
  launches captured;
};

// NOLINTBEGIN(readability-identifier-naming): the names that CUDA and HIP share.
struct device_properties {
  const char* name = "emulated GPU";
  std::size_t totalGlobalMem = std::size_t{1} << 34;
  int warpSize = 0;
  int multiProcessorCount = 3;  // odd, and few, so that blocks have several rounds of work
};
// NOLINTEND(readability-identifier-naming)

// What the last kernel that failed did wrong.
std::string& failure_text();

// Launches of one kernel. All kernels that the backend can launch are counted from its load on; when the process ends,
// their names and counts go to the file that NSAMETA_EMU_KERNELS names.
class launch_counter {
 public:
  explicit launch_counter(const std::string& kernel);
  void add() { ++*count_; }

 private:
  std::uint64_t* count_;
};

template <class Kernel>
inline launch_counter launches_of{kernel_name<Kernel>()};

// Of the next launch: NSAMETA_TEST_SEED and how many launches there were.
std::uint64_t next_seed();

template <int kWidth>
struct api {
  using error = emu::error;
  using stream = stream_state*;
  using graph = launches*;
  using graph_exec = launches*;
  using attribute = emu::attribute;
  using properties = device_properties;

  static constexpr int kDeviceType = NSAMETA_DEVICE_CUDA;
  static constexpr error kSuccess = error::SUCCESS;
  static constexpr error kOutOfMemory = error::OUT_OF_MEMORY;
  static constexpr copy_kind kHostToDevice = copy_kind::TO_DEVICE;
  static constexpr copy_kind kDeviceToHost = copy_kind::TO_HOST;
  static constexpr attribute kMultiprocessorCount = attribute::MULTIPROCESSOR_COUNT;
  static constexpr attribute kWarpSize = attribute::WARP_SIZE;
  static constexpr std::align_val_t kAlignment{256};

  static bool means_no_device(error) { return false; }
  static const char* error_string(error e) {
    return e == error::KERNEL_FAILED ? failure_text().c_str() : e == error::OUT_OF_MEMORY ? "out of memory" : "";
  }
  static const char* error_name(error e) { return e == error::KERNEL_FAILED ? "KERNEL_FAILED" : "OUT_OF_MEMORY"; }
  static error get_last_error() { return error::SUCCESS; }
  static error get_device(int* id) {
    *id = 0;
    return error::SUCCESS;
  }
  static error set_device(int) { return error::SUCCESS; }
  static bool has_bulk_copies(int) { return true; }
  static error device_get_attribute(int* value, attribute a, int) {
    *value = a == kWarpSize ? kWidth : device_properties{}.multiProcessorCount;
    return error::SUCCESS;
  }
  static error get_device_properties(properties* p, int) {
    *p = {};
    p->warpSize = kWidth;
    return error::SUCCESS;
  }
  static void write_arch(const properties&, char* text, std::size_t size) {
    std::snprintf(text, size, "emulated, %d lanes", kWidth);
  }
  static error malloc(void** data, std::size_t bytes) {
    *data = ::operator new(bytes, kAlignment, std::nothrow);
    return *data != nullptr ? error::SUCCESS : error::OUT_OF_MEMORY;
  }
  static error free(void* data) {
    ::operator delete(data, kAlignment);
    return error::SUCCESS;
  }
  static error host_alloc(void** data, std::size_t bytes) { return malloc(data, bytes); }
  static error host_free(void* data) { return free(data); }
  static error memcpy_async(void* to, const void* from, std::size_t bytes, copy_kind, stream) {
    if (bytes > 0) std::memcpy(to, from, bytes);
    return error::SUCCESS;
  }
  static error stream_create(stream* s) {
    *s = new stream_state;
    return error::SUCCESS;
  }
  static error stream_destroy(stream s) {
    delete s;
    return error::SUCCESS;
  }
  static error stream_synchronize(stream) { return error::SUCCESS; }
  static error stream_is_capturing(stream s, bool* is_active) {
    *is_active = s != nullptr && s->is_capturing;
    return error::SUCCESS;
  }
  static error stream_begin_capture(stream s) {
    *s = {.is_capturing = true, .captured = {}};
    return error::SUCCESS;
  }
  static error stream_end_capture(stream s, graph* g) {
    s->is_capturing = false;
    *g = new launches(std::move(s->captured));
    return error::SUCCESS;
  }
  static error graph_instantiate(graph_exec* e, graph g) {
    *e = new launches(*g);
    return error::SUCCESS;
  }
  static error graph_destroy(graph g) {
    delete g;
    return error::SUCCESS;
  }
  static error graph_launch(graph_exec e, stream) {
    for (const auto& launch : *e) {
      if (const error result = launch(); result != error::SUCCESS) return result;
    }
    return error::SUCCESS;
  }
  static error graph_exec_destroy(graph_exec e) { return graph_destroy(e); }
};

template <int kWidth>
struct launcher {
  stream_state* stream;

  template <class Kernel>
  error operator()(int num_blocks, int block_threads, const typename Kernel::params& params, int num_sets = 1,
                   int cluster_size = 1) const {
    const auto run = [=] {
      launches_of<Kernel>.add();
      failure_text() =
          run_kernel<Kernel, kWidth>(num_blocks, num_sets, block_threads, params, next_seed(), cluster_size);
      return failure_text().empty() ? error::SUCCESS : error::KERNEL_FAILED;
    };
    if (stream == nullptr || !stream->is_capturing) return run();
    stream->captured.emplace_back(run);
    return error::SUCCESS;
  }
};

}  // namespace nsameta::emu
