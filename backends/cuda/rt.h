// The CUDA side of the trait that backends/simt is written against, and how its kernels are launched.
#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <cstdint>

#include "backends/cuda/device.h"
#include "backends/cuda/pipe.h"

namespace nsameta::cuda {

struct rt {
  static constexpr int kWarp = 32;
  static constexpr bool kHasPipe = true;
  static constexpr bool kHasClusters = true;
  using pipe = cuda::pipe;
  static constexpr unsigned kAllLanes = 0xffffffffU;

  static NSAMETA_DEVICE int thread_idx() { return static_cast<int>(threadIdx.x); }
  static NSAMETA_DEVICE int block_idx() { return static_cast<int>(blockIdx.x); }
  static NSAMETA_DEVICE int set_idx() { return static_cast<int>(blockIdx.y); }
  static NSAMETA_DEVICE int block_dim() { return static_cast<int>(blockDim.x); }
  static NSAMETA_DEVICE int grid_dim() { return static_cast<int>(gridDim.x); }
  static NSAMETA_DEVICE int lane() { return static_cast<int>(threadIdx.x % kWarp); }
  static NSAMETA_DEVICE int warp() { return static_cast<int>(threadIdx.x / kWarp); }

  // The same value, of which the compiler does not know that all lanes have it.
  static NSAMETA_DEVICE std::int32_t per_lane(std::int32_t value) {
    std::int32_t lane;
    asm volatile("mov.u32 %0, %%laneid;" : "=r"(lane));
    return value + (lane >> 5);
  }

  // A launch that may begin while the one before it runs waits here for its end. No cost elsewhere (H200, 2026-11-27).
  static NSAMETA_DEVICE void wait_for_previous_launch() {
#if NSAMETA_IS_SM90
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
  }
  // From here on the blocks of such a launch may take what is left of the multiprocessor.
  static NSAMETA_DEVICE void allow_next_launch() {
#if NSAMETA_IS_SM90
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
  }

  // A cluster: blocks that run at the same time and reach each other's shared memory.
  static NSAMETA_DEVICE int cluster_size() {
    unsigned size = 1;
#if NSAMETA_IS_SM90
    asm("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
#endif
    return static_cast<int>(size);
  }
  static NSAMETA_DEVICE int cluster_rank() {
    unsigned rank = 0;
#if NSAMETA_IS_SM90
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
#endif
    return static_cast<int>(rank);
  }
  // All threads of the cluster call. First, before anything is stored to a peer, which has to run by then:
  static NSAMETA_DEVICE void begin_cluster() {
#if NSAMETA_IS_SM90
    asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
    asm volatile("barrier.cluster.wait.aligned;" ::: "memory");
#endif
  }
  // And behind the stores:
  static NSAMETA_DEVICE void sync_cluster() {
#if NSAMETA_IS_SM90
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
  }
  // Into the same place of another block's shared memory.
  static NSAMETA_DEVICE void store_to_peer(std::int32_t* cell, int rank, std::int32_t value) {
#if NSAMETA_IS_SM90
    std::uint32_t address;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;"
                 : "=r"(address)
                 : "r"(static_cast<std::uint32_t>(__cvta_generic_to_shared(cell))), "r"(rank));
    asm volatile("st.shared::cluster.s32 [%0], %1;" ::"r"(address), "r"(value) : "memory");
#endif
  }

  static NSAMETA_DEVICE void sync_block() { __syncthreads(); }
  static NSAMETA_DEVICE void sync_warp() { __syncwarp(); }

  static NSAMETA_DEVICE std::int32_t shfl(std::int32_t value, int source) {
    return __shfl_sync(kAllLanes, value, source);
  }
  static NSAMETA_DEVICE std::int32_t shfl_up(std::int32_t value, int distance) {
    return __shfl_up_sync(kAllLanes, value, static_cast<unsigned>(distance));
  }

  // Sum over the lanes, modulo 2^32.
  static NSAMETA_DEVICE std::int32_t reduce_add(std::int32_t value) { return __reduce_add_sync(kAllLanes, value); }

  using mask = std::uint32_t;
  static NSAMETA_DEVICE mask ballot(bool predicate) { return __ballot_sync(kAllLanes, predicate); }
  static NSAMETA_DEVICE bool any(bool predicate) { return __any_sync(kAllLanes, predicate) != 0; }
  // Set bits among the lowest `num_lanes`.
  static NSAMETA_DEVICE int count_bits_below(mask m, int num_lanes) {
    return __popc(num_lanes >= kWarp ? m : m & ((1U << num_lanes) - 1U));
  }
  // Highest set bit; -1 when there is none.
  static NSAMETA_DEVICE int last_bit(mask m) { return kWarp - 1 - __clz(static_cast<int>(m)); }
  // Lowest set bit of a mask that has one.
  static NSAMETA_DEVICE int first_bit(mask m) { return __ffs(static_cast<int>(m)) - 1; }

  static NSAMETA_DEVICE bool is_aligned16(const void* address) {
    return reinterpret_cast<std::uintptr_t>(address) % 16 == 0;
  }
  // Global memory, aligned to 16 bytes.
  using quad = int4;
  static NSAMETA_DEVICE quad load128(const std::int32_t* address) { return *reinterpret_cast<const quad*>(address); }
  // Loads in assembly, which the compiler cannot move behind a branch, where what follows would wait. 0 unless
  // `exists`.
  static NSAMETA_DEVICE quad load128_if(const std::int32_t* address, bool exists) {
    quad v;
    asm volatile(
        "{\n\t"
        ".reg .pred exists;\n\t"
        "setp.ne.s32 exists, %5, 0;\n\t"
        "mov.b32 %0, 0;\n\t"
        "mov.b32 %1, 0;\n\t"
        "mov.b32 %2, 0;\n\t"
        "mov.b32 %3, 0;\n\t"
        "@exists ld.global.v4.s32 {%0, %1, %2, %3}, [%4];\n\t"
        "}"
        : "=&r"(v.x), "=&r"(v.y), "=&r"(v.z), "=&r"(v.w)
        : "l"(address), "r"(static_cast<int>(exists)));
    return v;
  }
  static NSAMETA_DEVICE std::int32_t load_if(const std::int32_t* address, bool exists) {
    std::int32_t v;
    asm volatile(
        "{\n\t"
        ".reg .pred exists;\n\t"
        "setp.ne.s32 exists, %2, 0;\n\t"
        "mov.b32 %0, 0;\n\t"
        "@exists ld.global.s32 %0, [%1];\n\t"
        "}"
        : "=&r"(v)
        : "l"(address), "r"(static_cast<int>(exists)));
    return v;
  }
  static NSAMETA_DEVICE void store128(std::int32_t* address, const quad& v) { store128(address, v.x, v.y, v.z, v.w); }
  // What is read late, if at all, and is first to leave the cache. H200, 2026-11-27, decode (64, 128K): 13.8 -> 11.7
  // us, verify (32, 64K): 7.8 -> 7.5.
  static NSAMETA_DEVICE void store128_streaming(std::int32_t* address, const quad& v) {
    asm volatile("st.global.cs.v4.s32 [%0], {%1, %2, %3, %4};" ::"l"(address), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w)
                 : "memory");
  }
  static NSAMETA_DEVICE void load128(const std::int32_t* address, std::int32_t* values) {
    const int4 v = *reinterpret_cast<const int4*>(address);
    values[0] = v.x;
    values[1] = v.y;
    values[2] = v.z;
    values[3] = v.w;
  }
  // Assembly, since the compiler may split an int4 store into four when the values come from an array.
  static NSAMETA_DEVICE void store128(std::int32_t* address, std::int32_t a, std::int32_t b, std::int32_t c,
                                      std::int32_t d) {
    asm volatile("st.global.v4.s32 [%0], {%1, %2, %3, %4};" ::"l"(address), "r"(a), "r"(b), "r"(c), "r"(d) : "memory");
  }

  // Writes the host's fault word unless it holds a fault already. Two faults at once: either may stay.
  static NSAMETA_DEVICE void report(std::uint64_t* word, std::uint64_t value) {
    volatile std::uint64_t* shared_with_host = word;
    if (*shared_with_host == 0) *shared_with_host = value;
  }
};

// Blocks that a multiprocessor shall have room for. Of the largest a second one would leave the compiler 32 registers,
// with which it waits for each load of a row of them; 0: as many as it likes.
constexpr int least_blocks(int block_threads) { return block_threads == 1024 ? 1 : 0; }

template <class Kernel>
__global__ void __launch_bounds__(Kernel::kBlock, least_blocks(Kernel::kBlock))
    entry(const __grid_constant__ typename Kernel::params params) {
  __shared__ typename Kernel::smem shared;
  rt::wait_for_previous_launch();
  Kernel::run(shared, params);
}

// For more shared memory than a kernel may declare.
template <class Kernel>
__global__ void __launch_bounds__(Kernel::kBlock)
    entry_with_pipe(const __grid_constant__ typename Kernel::params params) {
  extern __shared__ __align__(128) unsigned char shared[];
  rt::wait_for_previous_launch();
  Kernel::run(*reinterpret_cast<typename Kernel::smem*>(shared), params);
}

// Launches a kernel of backends/simt on a stream; num_sets: the grid's second extent; cluster_size: blocks of a
// cluster.
struct launcher {
  cudaStream_t stream;
  int device_id;
  bool is_programmatic = false;  // may begin before the launch before it has ended

  template <class Kernel>
  cudaError_t operator()(int num_blocks, int block_threads, const typename Kernel::params& params, int num_sets = 1,
                         int cluster_size = 1) const {
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(num_blocks), static_cast<unsigned>(num_sets));
    config.blockDim = dim3(static_cast<unsigned>(block_threads));
    config.stream = stream;
    cudaLaunchAttribute attributes[2] = {};
    config.attrs = attributes;
    if (is_programmatic) {
      cudaLaunchAttribute& overlap = attributes[config.numAttrs++];
      overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
      overlap.val.programmaticStreamSerializationAllowed = 1;
    }
    if (cluster_size > 1) {
      cudaLaunchAttribute& cluster = attributes[config.numAttrs++];
      cluster.id = cudaLaunchAttributeClusterDimension;
      cluster.val.clusterDim = {static_cast<unsigned>(cluster_size), 1, 1};
    }
    constexpr std::size_t kBytes = sizeof(typename Kernel::smem);
    if constexpr (kBytes <= kMaxDeclaredBytes) {
      return cudaLaunchKernelEx(&config, entry<Kernel>, params);
    } else {
      const cudaError_t error = allow_much_memory<Kernel>();
      if (error != cudaSuccess) return error;
      config.dynamicSmemBytes = kBytes;
      return cudaLaunchKernelEx(&config, entry_with_pipe<Kernel>, params);
    }
  }

 private:
  static constexpr std::size_t kMaxDeclaredBytes = std::size_t{48} << 10U;

  // Once a device, which is the current one.
  template <class Kernel>
  cudaError_t allow_much_memory() const {
    static std::atomic<std::uint64_t> allowed{0};  // a bit for each of the first 64 devices
    const std::uint64_t own = device_id < 64 ? std::uint64_t{1} << device_id : 0;
    if ((allowed.load(std::memory_order_acquire) & own) != 0) return cudaSuccess;
    const cudaError_t error = cudaFuncSetAttribute(entry_with_pipe<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                   static_cast<int>(sizeof(typename Kernel::smem)));
    if (error == cudaSuccess) allowed.fetch_or(own, std::memory_order_release);
    return error;
  }
};

}  // namespace nsameta::cuda
