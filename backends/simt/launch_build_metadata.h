// Host side of build_metadata, the same for every vendor: picks the kernel and its grid.
#pragma once

#include <cstdint>

#include "backends/simt/build_metadata_large.h"
#include "backends/simt/build_metadata_policy.h"
#include "backends/simt/build_metadata_small.h"

namespace nsameta::simt {

template <class Rt, bool kRagged, bool kKeys, bool kSeedOnly, class Launcher>
auto launch_small(const build_metadata_params& params, const build_metadata_policy& policy, Launcher launch) {
  using one_group = build_metadata_small<Rt, 1, kRagged, kKeys, kSeedOnly>;
  using many_groups = build_metadata_small<Rt, kMaxGroupRequests / Rt::kWarp, kRagged, kKeys, kSeedOnly>;
  return policy.group_bits == 0
             ? launch.template operator()<one_group>(policy.num_blocks, policy.block_threads, params)
             : launch.template operator()<many_groups>(policy.num_blocks, policy.block_threads, params);
}

template <class Rt, bool kRagged, bool kKeys, class Launcher>
auto launch_build_metadata_as(const build_metadata_params& params, const build_metadata_policy& policy,
                              Launcher launch) {
  if constexpr (!kKeys) {
    if (policy.is_seed_only) {
      using large = build_metadata_large<Rt, kRagged, false, true>;
      return policy.is_small ? launch_small<Rt, kRagged, false, true>(params, policy, launch)
                             : launch.template operator()<large>(policy.num_blocks, policy.block_threads, params);
    }
  }
  if (policy.is_small) return launch_small<Rt, kRagged, kKeys, false>(params, policy, launch);
  return launch.template operator()<build_metadata_large<Rt, kRagged, kKeys, false>>(policy.num_blocks,
                                                                                     policy.block_threads, params);
}

// launch: a functor template <class Kernel>(num_blocks, block_threads, params) that returns the vendor's error code.
template <class Rt, class Launcher>
auto launch_build_metadata(const nsameta_build_metadata_desc& desc, std::uint64_t* fault_word, int num_multiprocessors,
                           Launcher launch) {
  build_metadata_params params = make_params(desc, fault_word);
  const build_metadata_policy policy = choose_policy(desc, params, Rt::kWarp, num_multiprocessors);
  params.num_slices = policy.num_slices;
  params.group_bits = policy.group_bits;
  params.requests_per_chunk = policy.requests_per_chunk;
  const bool is_ragged = desc.query_source == NSAMETA_QUERY_RAGGED;
  if (wants_keys(params)) {
    return is_ragged ? launch_build_metadata_as<Rt, true, true>(params, policy, launch)
                     : launch_build_metadata_as<Rt, false, true>(params, policy, launch);
  }
  return is_ragged ? launch_build_metadata_as<Rt, true, false>(params, policy, launch)
                   : launch_build_metadata_as<Rt, false, false>(params, policy, launch);
}

}  // namespace nsameta::simt
