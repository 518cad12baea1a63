// The CUDA side of the trait that backends/simt is written against, and how its kernels are launched.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#define NSAMETA_DEVICE __device__ __forceinline__
#define NSAMETA_UNROLL _Pragma("unroll")
#define NSAMETA_NO_UNROLL _Pragma("unroll 1")

namespace nsameta::cuda {

struct rt {
  static constexpr int kWarp = 32;
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

  static NSAMETA_DEVICE bool is_aligned8(const void* address) {
    return reinterpret_cast<std::uintptr_t>(address) % 8 == 0;
  }
  // Global memory, aligned to 8 and to 16 bytes.
  static NSAMETA_DEVICE void load64(const std::int32_t* address, std::int32_t* values) {
    const int2 v = *reinterpret_cast<const int2*>(address);
    values[0] = v.x;
    values[1] = v.y;
  }
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

template <class Kernel>
__global__ void __launch_bounds__(Kernel::kBlock) entry(const __grid_constant__ typename Kernel::params params) {
  __shared__ typename Kernel::smem shared;
  Kernel::run(shared, params);
}

// Launches a kernel of backends/simt on a stream; num_sets: the grid's second extent.
struct launcher {
  cudaStream_t stream;

  template <class Kernel>
  cudaError_t operator()(int num_blocks, int block_threads, const typename Kernel::params& params,
                         int num_sets = 1) const {
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>(num_blocks), static_cast<unsigned>(num_sets));
    config.blockDim = dim3(static_cast<unsigned>(block_threads));
    config.stream = stream;
    return cudaLaunchKernelEx(&config, entry<Kernel>, params);
  }
};

}  // namespace nsameta::cuda
