// The emulator's side of the trait that backends/simt is written against, for waves of 32 and 64 lanes, and how its
// kernels are launched. It is included before them, as the traits of real GPUs are.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>

#include "tests/support/emu/grid.h"
#include "tests/support/emu/pipe.h"

#define NSAMETA_DEVICE inline
#define NSAMETA_UNROLL
#define NSAMETA_NO_UNROLL

namespace nsameta::emu {

template <int kWidth>
struct rt {
  static constexpr int kWarp = kWidth;
  static constexpr bool kHasPipe = true;
  static constexpr bool kHasClusters = kWidth == 32;  // waves of 64 are AMD's, who have none
  using pipe = emu::pipe;

  static int thread_idx() { return here().thread_idx; }
  static int block_idx() { return here().block_idx; }
  static int set_idx() { return here().set_idx; }
  static int block_dim() { return here().block_dim; }
  static int grid_dim() { return here().grid_dim; }
  static int lane() { return here().lane; }
  static int warp() { return here().warp; }
  static std::int32_t per_lane(std::int32_t value) { return value; }

  static void allow_next_launch() {}

  static int cluster_size() { return here().cluster_size; }
  static int cluster_rank() { return here().block_idx % here().cluster_size; }
  static void begin_cluster(site at = site::here()) { meet_cluster(at); }
  // Everything that was stored to peers arrives as late as the barrier allows.
  static void sync_cluster(site at = site::here()) {
    meet_cluster(at);
    for (peer_store store{}; take_from_peers(&store);) *store.cell = store.value;
    meet_block(at);
  }
  static void store_to_peer(std::int32_t* cell, int rank, std::int32_t value) { send_to_peer(rank, {cell, value}); }

  static void sync_block(site at = site::here()) { meet_block(at); }
  static void sync_warp(site at = site::here()) { meet_warp(operation::SYNC_WARP, at); }

  static std::int32_t shfl(std::int32_t value, int source, site at = site::here()) {
    return to_int(exchange(operation::SHUFFLE, to_word(value), at)[source & (kWarp - 1)]);
  }
  static std::int32_t shfl_up(std::int32_t value, int distance, site at = site::here()) {
    const std::uint64_t* values = exchange(operation::SHUFFLE_UP, to_word(value), at);
    return distance <= lane() ? to_int(values[lane() - distance]) : value;
  }

  // Modulo 2^32.
  static std::int32_t reduce_add(std::int32_t value, site at = site::here()) {
    const std::uint64_t* values = exchange(operation::REDUCE, to_word(value), at);
    std::uint64_t sum = 0;
    for (int i = 0; i < kWarp; ++i) sum += values[i];
    return to_int(sum);
  }

  using mask = std::conditional_t<kWidth == 64, std::uint64_t, std::uint32_t>;
  static mask ballot(bool predicate, site at = site::here()) {
    const std::uint64_t* values = exchange(operation::BALLOT, predicate ? 1 : 0, at);
    mask set = 0;
    for (int i = 0; i < kWarp; ++i) set |= static_cast<mask>(values[i]) << i;
    return set;
  }
  static bool any(bool predicate, site at = site::here()) { return ballot(predicate, at) != 0; }
  static int count_bits_below(mask m, int num_lanes) {
    return __builtin_popcountll(num_lanes >= kWarp ? m : m & ((mask{1} << num_lanes) - 1U));
  }
  static int last_bit(mask m) { return m == 0 ? -1 : 63 - __builtin_clzll(m); }
  static int first_bit(mask m) { return __builtin_ctzll(m); }

  static bool is_aligned16(const void* address) { return reinterpret_cast<std::uintptr_t>(address) % 16 == 0; }
  // A type of such alignment, so that the sanitizer for undefined behaviour sees what a GPU would refuse.
  struct alignas(16) quad {
    std::int32_t x, y, z, w;
  };
  static quad load128(const std::int32_t* address) { return *reinterpret_cast<const quad*>(address); }
  static void load128(const std::int32_t* address, std::int32_t* values) {
    const quad v = load128(address);
    values[0] = v.x;
    values[1] = v.y;
    values[2] = v.z;
    values[3] = v.w;
  }
  static quad load128_if(const std::int32_t* address, bool exists) {
    return exists ? load128(address) : quad{0, 0, 0, 0};
  }
  static std::int32_t load_if(const std::int32_t* address, bool exists) { return exists ? *address : 0; }
  static void store128_streaming(std::int32_t* address, const quad& v) { store128(address, v); }
  static void store128(std::int32_t* address, const quad& v) { *reinterpret_cast<quad*>(address) = v; }
  static void store128(std::int32_t* address, std::int32_t a, std::int32_t b, std::int32_t c, std::int32_t d) {
    store128(address, quad{a, b, c, d});
  }

  // Any of several faults at once may stay, so that checks of memory accesses leave it out.
  __attribute__((no_sanitize("thread"))) static void report(std::uint64_t* word, std::uint64_t value) {
    volatile std::uint64_t* shared_with_host = word;
    if (*shared_with_host == 0) *shared_with_host = value;
  }

 private:
  static std::uint64_t to_word(std::int32_t value) { return static_cast<std::uint32_t>(value); }
  static std::int32_t to_int(std::uint64_t word) { return static_cast<std::int32_t>(static_cast<std::uint32_t>(word)); }
};

// "build_metadata_plain<nsameta::emu::rt<32>, 4>", from the compiler's name of this function.
template <class Kernel>
std::string kernel_name() {
  std::string name = __PRETTY_FUNCTION__;
  const auto begin = name.find("Kernel = ");
  name = name.substr(begin + 9);
  name = name.substr(0, name.find_first_of(";]"));
  const std::string scope = "nsameta::simt::";
  for (auto at = name.find(scope); at != std::string::npos; at = name.find(scope)) name.erase(at, scope.size());
  return name;
}

// Runs a kernel of backends/simt. Returns what went wrong, or "".
template <class Kernel, int kWidth>
std::string run_kernel(int num_blocks, int num_sets, int block_threads, const typename Kernel::params& params,
                       std::uint64_t seed, int cluster_size = 1) {
  static_assert(std::is_trivially_destructible_v<typename Kernel::smem>);
  const grid_shape shape{.num_blocks = num_blocks,
                         .cluster_size = cluster_size,
                         .num_sets = num_sets,
                         .block_threads = block_threads,
                         .warp_width = kWidth,
                         .smem_bytes = sizeof(typename Kernel::smem),
                         .smem_alignment = alignof(typename Kernel::smem),
                         .params_bytes = sizeof(typename Kernel::params)};
  const thread_body body = [](void* smem, const void* p) {
    Kernel::run(*static_cast<typename Kernel::smem*>(smem), *static_cast<const typename Kernel::params*>(p));
  };
  return run_grid(kernel_name<Kernel>().c_str(), shape, body, &params, seed);
}

}  // namespace nsameta::emu
