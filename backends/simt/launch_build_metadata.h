// Host side of build_metadata, the same for every vendor: picks the kernel and its grid.
#pragma once

#include <cstdint>

#include "backends/simt/build_metadata_large.h"
#include "backends/simt/build_metadata_plain.h"
#include "backends/simt/build_metadata_policy.h"
#include "backends/simt/build_metadata_small.h"
#include "backends/simt/build_metadata_step.h"
#include "backends/simt/explaining_launcher.h"
#include "backends/simt/gpu_state.h"
#include "backends/simt/length_policy.h"
#include "backends/simt/output_sets.h"

namespace nsameta::simt {

// ---- lengths alone --------------------------------------------------------------------------------------------------

template <class Rt, bool kRagged, bool kKeys, bool kSeedOnly, class Launcher>
auto launch_small(const build_metadata_params& params, const build_metadata_policy& policy, Launcher launch) {
  using one_group = build_metadata_small<Rt, 1, kRagged, kKeys, kSeedOnly>;
  using many_groups = build_metadata_small<Rt, kMaxGroupRequests / Rt::kWarp, kRagged, kKeys, kSeedOnly>;
  return policy.group_bits == 0
             ? launch.template operator()<one_group>(policy.num_blocks, policy.block_threads, params)
             : launch.template operator()<many_groups>(policy.num_blocks, policy.block_threads, params);
}

template <class Kernel, class Launcher>
auto launch_large(const build_metadata_params& params, const build_metadata_policy& policy, Launcher launch) {
  constexpr int kNumSets = 1;
  return launch.template operator()<Kernel>(policy.num_blocks, policy.block_threads, params, kNumSets,
                                            policy.cluster_size);
}

template <class Rt, bool kRagged, bool kKeys, class Launcher>
auto launch_lengths(const build_metadata_params& params, const build_metadata_policy& policy, Launcher launch) {
  if constexpr (!kKeys) {
    if (policy.is_seed_only) {
      using large = build_metadata_large<Rt, kRagged, false, true>;
      return policy.is_small ? launch_small<Rt, kRagged, false, true>(params, policy, launch)
                             : launch_large<large>(params, policy, launch);
    }
  }
  if (policy.is_small) return launch_small<Rt, kRagged, kKeys, false>(params, policy, launch);
  return launch_large<build_metadata_large<Rt, kRagged, kKeys, false>>(params, policy, launch);
}

// ---- tables, schedule, plan -----------------------------------------------------------------------------------------

inline void set_policy(common_params& p, const build_metadata_policy& policy) {
  p.num_slices = policy.num_slices;
  p.group_bits = policy.group_bits;
  p.chunk_bits = policy.chunk_bits;
  p.work_blocks =
      formula::divider::make(static_cast<std::uint32_t>(std::max(policy.num_blocks - policy.first_length_block, 1)));
  p.first_plan_block = policy.first_plan_block;
  p.first_length_block = policy.first_length_block;
  p.first_copy_block = policy.first_copy_block;
  p.slice_bits = policy.slice_bits;
  p.thread_bits = static_cast<std::uint8_t>(policy.thread_bits);
}

template <class Kernel, class Launcher>
auto launch_one_set(const build_metadata_sets& all, const build_metadata_policy& policy, Launcher launch) {
  const build_metadata_params params{all.common, all.sets[0]};
  return launch.template operator()<Kernel>(policy.num_blocks, policy.block_threads, params);
}

template <class Rt, class Launcher>
auto launch_plain(const build_metadata_sets& all, const build_metadata_policy& policy, Launcher launch) {
  const std::int32_t width = all.common.query_width;
  const bool is_verify_of_4 = width == 4 && all.common.tables_by_token != 0;
  if constexpr (Rt::kHasPipe) {
    if (policy.is_bulk) {
      return is_verify_of_4 ? launch_one_set<build_metadata_plain<Rt, 4, true>>(all, policy, launch)
                            : launch_one_set<build_metadata_plain<Rt, 0, true>>(all, policy, launch);
    }
  }
  if (width == 1) return launch_one_set<build_metadata_plain<Rt, 1, false>>(all, policy, launch);
  if (is_verify_of_4) return launch_one_set<build_metadata_plain<Rt, 4, false>>(all, policy, launch);
  return launch_one_set<build_metadata_plain<Rt, 0, false>>(all, policy, launch);
}

template <class Rt, bool kRagged, class Launcher>
auto launch_tables(const build_metadata_sets& all, int num_sets, const build_metadata_policy& policy, Launcher launch) {
  constexpr int kGroups = kMaxStepRequests / Rt::kWarp;
  using step = build_metadata_step<Rt, kGroups, kRagged, true>;
  using large = build_metadata_large<Rt, kRagged, true, false, true>;
  // Waves of 64 have too few scalar registers for all parameters of the large kernel: it reads them from shared memory.
  constexpr bool kLargeInShared = Rt::kWarp == 64;
  if (num_sets > 1 || all.common.num_requests != nullptr || (kLargeInShared && !policy.is_step)) {
    return policy.is_step ? launch.template operator()<for_each_set<Rt, step>>(policy.num_blocks, policy.block_threads,
                                                                               all, num_sets)
                          : launch.template operator()<for_each_set<Rt, large>>(policy.num_blocks, policy.block_threads,
                                                                                all, num_sets);
  }
  if constexpr (!kLargeInShared) {
    if (!policy.is_step) return launch_one_set<large>(all, policy, launch);
  }
  const bool is_one_group = all.common.batch <= Rt::kWarp;
  if constexpr (!kRagged) {
    if (policy.is_plain) return launch_plain<Rt>(all, policy, launch);
  }
  if (wants_keys(all.sets[0])) {
    return is_one_group ? launch_one_set<build_metadata_step<Rt, 1, kRagged, true>>(all, policy, launch)
                        : launch_one_set<step>(all, policy, launch);
  }
  return is_one_group ? launch_one_set<build_metadata_step<Rt, 1, kRagged, false>>(all, policy, launch)
                      : launch_one_set<build_metadata_step<Rt, kGroups, kRagged, false>>(all, policy, launch);
}

// ---- all ------------------------------------------------------------------------------------------------------------

template <class Rules>
bool is_step_launch(const Rules& rules, const nsameta_build_metadata_desc& desc, const launch_size& size,
                    int num_multiprocessors) {
  return rules.at_most("batch", desc.batch, tunable::step_requests) &&
         rules.at_most("tokens", size.tokens, tunable::step_tokens_per_sm, num_multiprocessors) &&
         rules.holds("capacities_fit", size.token_capacity <= kMaxSmallQuery && size.token_rows <= kMaxSmallQuery) &&
         (desc.tail == NSAMETA_TAIL_KEEP ||
          rules.at_most("token_capacity", size.token_capacity, tunable::step_tokens_per_sm, num_multiprocessors));
}

inline void tell(const silent_rules&, const build_metadata_policy&) {}

inline void tell(const told_rules& rules, const build_metadata_policy& policy) {
  text_writer& text = rules.text();
#define NSAMETA_TELL(field) text.line(#field ": %d", static_cast<int>(policy.field))
  NSAMETA_TELL(num_slices);
  NSAMETA_TELL(group_bits);
  NSAMETA_TELL(chunk_bits);
  NSAMETA_TELL(first_plan_block);
  NSAMETA_TELL(first_length_block);
  NSAMETA_TELL(first_copy_block);
  NSAMETA_TELL(slice_bits);
  NSAMETA_TELL(thread_bits);
#undef NSAMETA_TELL
}

template <class Rules>
bool takes_plain(const Rules& rules, const nsameta_build_metadata_desc& desc, const build_metadata_params& params) {
  const bool has_form = desc.num_sets == 1 && desc.num_requests == nullptr && is_plain_step(params);
  return rules.holds("plain_step", has_form) && rules.at_most("batch", desc.batch, tunable::plain_requests);
}

// is_plain: known to be a plain step that is small enough.
template <class Rt, class Rules, class Launcher>
auto launch_all(const Rules& rules, const nsameta_build_metadata_desc& desc, const common_params& common,
                const gpu_state& state, bool is_plain, Launcher launch) {
  const int num_multiprocessors = state.num_multiprocessors;
  build_metadata_sets all;
  all.common = common;
  for (int i = 0; i < desc.num_sets; ++i) all.sets[i] = make_output_params(desc, desc.sets[i], state.fault_word);
  const launch_size size = measure(desc, {all.sets, static_cast<std::size_t>(desc.num_sets)});
  const auto choose = [&] {
    if (!is_plain && !is_step_launch(rules, desc, size, num_multiprocessors)) {
      return add_tables(rules, choose_large_policy(rules, desc.batch, size.tokens, Rt::kWarp, num_multiprocessors),
                        desc, size, Rt::kWarp, num_multiprocessors);
    }
    return is_plain || takes_plain(rules, desc, {all.common, all.sets[0]})
               ? choose_plain_policy(rules, desc, size, all.sets[0], state.has_bulk_copies, num_multiprocessors)
               : choose_step_policy(rules, desc, size, Rt::kWarp, num_multiprocessors);
  };
  const build_metadata_policy policy = choose();
  tell(rules, policy);
  set_policy(all.common, policy);
  return desc.query_source == NSAMETA_QUERY_RAGGED ? launch_tables<Rt, true>(all, desc.num_sets, policy, launch)
                                                   : launch_tables<Rt, false>(all, desc.num_sets, policy, launch);
}

template <class Rt, class Rules, class Launcher>
auto choose_build_metadata(const Rules& rules, const nsameta_build_metadata_desc& desc, const gpu_state& state,
                           Launcher launch) {
  build_metadata_params params{make_common_params(desc, state.fault_word),
                               make_output_params(desc, desc.sets[0], state.fault_word)};
  // Lengths alone have kernels that know of nothing else; but sums of what tokens read are faster in a plain step.
  const bool is_lengths_alone = desc.num_sets == 1 && desc.num_requests == nullptr && !wants_more_than_lengths(params);
  const bool is_plain = is_lengths_alone && params.capacity[SPARSE_CU] > 0 && takes_plain(rules, desc, params) &&
                        is_step_launch(rules, desc, measure(desc, {static_cast<const output_params*>(&params), 1}),
                                       state.num_multiprocessors);
  if (!is_lengths_alone || is_plain) return launch_all<Rt>(rules, desc, params, state, is_plain, launch);
  const build_metadata_policy policy = choose_length_policy(
      rules, desc, params, Rt::kHasClusters && state.has_bulk_copies, Rt::kWarp, state.num_multiprocessors);
  tell(rules, policy);
  set_policy(params, policy);
  const bool is_ragged = desc.query_source == NSAMETA_QUERY_RAGGED;
  if (wants_keys(params)) {
    return is_ragged ? launch_lengths<Rt, true, true>(params, policy, launch)
                     : launch_lengths<Rt, false, true>(params, policy, launch);
  }
  return is_ragged ? launch_lengths<Rt, true, false>(params, policy, launch)
                   : launch_lengths<Rt, false, false>(params, policy, launch);
}

// launch: a functor template <class Kernel>(num_blocks, block_threads, params, num_sets = 1, cluster_size = 1) that
// returns the vendor's error code.
template <class Rt, class Launcher>
auto launch_build_metadata(const nsameta_build_metadata_desc& desc, const gpu_state& state, Launcher launch) {
  return choose_build_metadata<Rt>(silent_rules(state.tuning), desc, state, launch);
}

// Writes what it would launch, and why.
template <class Rt>
void explain_launch(Rt, const nsameta_build_metadata_desc& desc, const gpu_state& state, text_writer* text) {
  choose_build_metadata<Rt>(told_rules(state.tuning, text), desc, state, explaining_launcher{text});
}

}  // namespace nsameta::simt
