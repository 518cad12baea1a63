// Owns "cuda" memory that the host cannot touch: pages without access, which only the copy functions open. So a staged
// run that reads or writes device memory itself crashes. Its operation cannot run; its graphs only set the flag that
// is_capturing reports.
#include <sys/mman.h>

#include <map>

#include "tests/dispatch/plugins/fake_gpu.h"
#include "tests/dispatch/plugins/host_plugin.h"

namespace {

using nsameta::plugin::fake_gpu_log;

fake_gpu_log the_log;
std::map<std::byte*, size_t> allocations;

// Opens the allocation that holds `data` while it lives.
class access {
 public:
  explicit access(const void* data) {
    auto it = allocations.upper_bound(const_cast<std::byte*>(static_cast<const std::byte*>(data)));
    if (it == allocations.begin()) return;
    --it;
    base_ = it->first;
    bytes_ = it->second;
    mprotect(base_, bytes_, PROT_READ | PROT_WRITE);
  }
  ~access() { mprotect(base_, bytes_, PROT_NONE); }
  access(const access&) = delete;
  access& operator=(const access&) = delete;
  bool contains(const void* data, size_t bytes) const {
    const auto* begin = static_cast<const std::byte*>(data);
    return base_ != nullptr && begin >= base_ && begin + bytes <= base_ + bytes_;
  }

 private:
  std::byte* base_ = nullptr;
  size_t bytes_ = 0;
};

nsameta_status copy(void* to, const void* from, size_t bytes, const void* device) {
  const access open(device);
  if (!open.contains(device, bytes)) {
    nsameta::plugin::message = "illegal address";
    return NSAMETA_DEVICE_ERROR;
  }
  std::memcpy(to, from, bytes);
  return NSAMETA_OK;
}

nsameta_status allocate(void*, size_t bytes, void** data) {
  void* pages = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return NSAMETA_OUT_OF_MEMORY;
  allocations[static_cast<std::byte*>(pages)] = bytes;
  *data = pages;
  return NSAMETA_OK;
}

void release(void*, void* data) {
  const auto it = allocations.find(static_cast<std::byte*>(data));
  munmap(it->first, it->second);
  allocations.erase(it);
}

void make_fake_gpu(nsameta_backend& table) {
  table.priority = 1000;
  table.device_types[0] = NSAMETA_DEVICE_CUDA;
  table.probe = [](int32_t* num_devices) {
    *num_devices = 2;
    return NSAMETA_OK;
  };
  table.alloc = allocate;
  table.free = release;
  table.copy_to_device = [](void*, void* to, const void* from, size_t bytes, void*) {
    ++the_log.num_writes;
    the_log.bytes_written += bytes;
    return copy(to, from, bytes, to);
  };
  table.copy_to_host = [](void*, void* to, const void* from, size_t bytes, void*) {
    the_log.bytes_read += bytes;
    return copy(to, from, bytes, from);
  };
  table.is_capturing = [](void*, void*, int32_t* capturing) {
    *capturing = the_log.is_capturing;
    return NSAMETA_OK;
  };
  table.graph_begin = [](void*, void*) {
    the_log.is_capturing = 1;
    return NSAMETA_OK;
  };
  table.graph_end = [](void*, void*, void** graph) {
    the_log.is_capturing = 0;
    *graph = &the_log;
    return NSAMETA_OK;
  };
  table.graph_launch = [](void*, void*, void*) { return NSAMETA_OK; };
  table.build_metadata = [](void*, const nsameta_build_metadata_desc*, void*) {
    nsameta::plugin::message = "this GPU is fake";
    return NSAMETA_DEVICE_ERROR;
  };
}

}  // namespace

NSAMETA_PLUGIN_ENTRY(make_fake_gpu)

extern "C" __attribute__((visibility("default"))) fake_gpu_log* fake_gpu_get_log() { return &the_log; }
