// The HIP side of the trait that backends/simt is written against, for waves of 32 or 64 lanes, and how its kernels are
// launched. Both widths are in the binary; the host picks by device property.
#pragma once

#include <hip/hip_runtime.h>

#include <cstdint>

#define NSAMETA_DEVICE __device__ __forceinline__
#define NSAMETA_UNROLL _Pragma("unroll")
#define NSAMETA_NO_UNROLL _Pragma("unroll 1")

namespace nsameta::hip {

// Lanes of a wave of the architecture that is being compiled for; 0 while the host side is.
#if !defined(__HIP_DEVICE_COMPILE__)
inline constexpr int kNativeWarp = 0;
#elif defined(__GFX9__)
inline constexpr int kNativeWarp = 64;
#else
inline constexpr int kNativeWarp = 32;
#endif

template <int kWidth>
struct rt {
  static constexpr int kWarp = kWidth;
  static constexpr bool kHasPipe = false;
  static constexpr bool kHasClusters = false;

  static NSAMETA_DEVICE int thread_idx() { return static_cast<int>(threadIdx.x); }
  static NSAMETA_DEVICE int block_idx() { return static_cast<int>(blockIdx.x); }
  static NSAMETA_DEVICE int set_idx() { return static_cast<int>(blockIdx.y); }
  static NSAMETA_DEVICE int block_dim() { return static_cast<int>(blockDim.x); }
  static NSAMETA_DEVICE int grid_dim() { return static_cast<int>(gridDim.x); }
  static NSAMETA_DEVICE int lane() { return static_cast<int>(threadIdx.x % kWarp); }
  static NSAMETA_DEVICE int warp() { return static_cast<int>(threadIdx.x / kWarp); }

  // The same value in a vector register. What follows from it takes no scalar ones, of which a wave has only 100.
  static NSAMETA_DEVICE std::int32_t per_lane(std::int32_t value) {
    asm("" : "+v"(value));
    return value;
  }

  // Launches of a stream do not overlap.
  static NSAMETA_DEVICE void allow_next_launch() {}

  static NSAMETA_DEVICE void sync_block() { __syncthreads(); }
  static NSAMETA_DEVICE void sync_warp() {
    __builtin_amdgcn_fence(__ATOMIC_RELEASE, "wavefront");
    __builtin_amdgcn_wave_barrier();
    __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "wavefront");
  }

  static NSAMETA_DEVICE std::int32_t shfl(std::int32_t value, int source) { return __shfl(value, source, kWarp); }
  static NSAMETA_DEVICE std::int32_t shfl_up(std::int32_t value, int distance) {
    return __shfl_up(value, static_cast<unsigned>(distance), kWarp);
  }

  // Sum over the lanes, modulo 2^32.
  static NSAMETA_DEVICE std::int32_t reduce_add(std::int32_t value) {
    auto sum = static_cast<std::uint32_t>(value);
    NSAMETA_UNROLL
    for (int distance = kWarp / 2; distance > 0; distance /= 2) sum += __shfl_xor(sum, distance, kWarp);
    return static_cast<std::int32_t>(sum);
  }

  using mask = std::uint64_t;
  static NSAMETA_DEVICE mask ballot(bool predicate) { return __ballot(predicate); }
  static NSAMETA_DEVICE bool any(bool predicate) { return ballot(predicate) != 0; }
  // Set bits among the lowest `num_lanes`.
  static NSAMETA_DEVICE int count_bits_below(mask m, int num_lanes) {
    return static_cast<int>(__popcll(num_lanes >= kWarp ? m : m & ((mask{1} << num_lanes) - 1U)));
  }
  // Highest set bit; -1 when there is none.
  static NSAMETA_DEVICE int last_bit(mask m) { return 63 - __clzll(static_cast<long long>(m)); }
  // Lowest set bit of a mask that has one.
  static NSAMETA_DEVICE int first_bit(mask m) { return __builtin_ctzll(m); }

  static NSAMETA_DEVICE bool is_aligned16(const void* address) {
    return reinterpret_cast<std::uintptr_t>(address) % 16 == 0;
  }
  using vec4 = std::int32_t __attribute__((ext_vector_type(4)));
  // Global memory, aligned to 16 bytes.
  using quad = vec4;
  static NSAMETA_DEVICE quad load128(const std::int32_t* address) { return *reinterpret_cast<const quad*>(address); }
  // 0 unless `exists`.
  static NSAMETA_DEVICE quad load128_if(const std::int32_t* address, bool exists) {
    return exists ? load128(address) : quad{0, 0, 0, 0};
  }
  static NSAMETA_DEVICE std::int32_t load_if(const std::int32_t* address, bool exists) { return exists ? *address : 0; }
  static NSAMETA_DEVICE void store128(std::int32_t* address, const quad& v) { *reinterpret_cast<quad*>(address) = v; }
  static NSAMETA_DEVICE void store128_streaming(std::int32_t* address, const quad& v) { store128(address, v); }
  static NSAMETA_DEVICE void load128(const std::int32_t* address, std::int32_t* values) {
    const vec4 v = *reinterpret_cast<const vec4*>(address);
    values[0] = v.x;
    values[1] = v.y;
    values[2] = v.z;
    values[3] = v.w;
  }
  static NSAMETA_DEVICE void store128(std::int32_t* address, std::int32_t a, std::int32_t b, std::int32_t c,
                                      std::int32_t d) {
    *reinterpret_cast<vec4*>(address) = vec4{a, b, c, d};
  }

  // Writes the host's fault word unless it holds a fault already. Two faults at once: either may stay.
  static NSAMETA_DEVICE void report(std::uint64_t* word, std::uint64_t value) {
    volatile std::uint64_t* shared_with_host = word;
    if (*shared_with_host == 0) *shared_with_host = value;
  }
};

// The body exists only where the device has waves of the trait's width. It reads the parameters where the launch put
// them: by the argument's name, the compiler loads all of them first, and holds them in scratch memory.
template <class Kernel, int kWidth>
__global__ void __launch_bounds__(Kernel::kBlock) entry(const typename Kernel::params) {
  if constexpr (kWidth == kNativeWarp) {
    __shared__ typename Kernel::smem shared;
    Kernel::run(shared, *(const typename Kernel::params*)__builtin_amdgcn_kernarg_segment_ptr());
  }
}

// Launches a kernel of backends/simt on a stream; num_sets: the grid's second extent.
template <int kWidth>
struct launcher {
  hipStream_t stream;

  template <class Kernel>
  hipError_t operator()(int num_blocks, int block_threads, const typename Kernel::params& params, int num_sets = 1,
                        int /*cluster_size*/ = 1) const {
    void* arguments[] = {const_cast<typename Kernel::params*>(&params)};
    return hipLaunchKernel(reinterpret_cast<const void*>(&entry<Kernel, kWidth>),
                           dim3(static_cast<unsigned>(num_blocks), static_cast<unsigned>(num_sets)),
                           dim3(static_cast<unsigned>(block_threads)), arguments, 0, stream);
  }
};

}  // namespace nsameta::hip
