// A launch that has been chosen, kept until it is run: the kernel, its grid and its parameters.
#pragma once

#include <cstddef>
#include <new>
#include <type_traits>

namespace nsameta::simt {

template <class Api>
struct prepared_launch {
  static constexpr std::size_t kMaxBytes = 4096 + 64;  // the largest parameters, and a launcher

  typename Api::error (*run)(const prepared_launch& own, typename Api::stream stream);
  const char* op;
  int num_blocks;
  int block_threads;
  int num_sets;
  int cluster_size;
  alignas(64) unsigned char kept[kMaxBytes];
};

// Takes the place of a vendor's launcher, and keeps what it is given for that one.
template <class Api, class Launcher>
struct keeping_launcher {
  prepared_launch<Api>* prepared;
  Launcher launch;

  template <class Kernel>
  struct kept_launch {
    typename Kernel::params params;
    Launcher launch;
  };

  template <class Kernel>
  typename Api::error operator()(int num_blocks, int block_threads, const typename Kernel::params& params,
                                 int num_sets = 1, int cluster_size = 1) const {
    using kept = kept_launch<Kernel>;
    static_assert(sizeof(kept) <= prepared_launch<Api>::kMaxBytes && alignof(kept) <= 64);
    static_assert(std::is_trivially_destructible_v<kept>);
    new (prepared->kept) kept{params, launch};
    prepared->num_blocks = num_blocks;
    prepared->block_threads = block_threads;
    prepared->num_sets = num_sets;
    prepared->cluster_size = cluster_size;
    prepared->run = [](const prepared_launch<Api>& own, typename Api::stream stream) {
      const kept& of_kernel = *std::launder(reinterpret_cast<const kept*>(own.kept));
      Launcher launch_on = of_kernel.launch;
      launch_on.stream = stream;
      return launch_on.template operator()<Kernel>(own.num_blocks, own.block_threads, of_kernel.params, own.num_sets,
                                                   own.cluster_size);
    };
    return Api::kSuccess;
  }
};

}  // namespace nsameta::simt
