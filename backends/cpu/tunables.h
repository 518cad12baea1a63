// The policy as a list of numbers with names and ranges, and what a call would choose by it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/policy.h"
#include "core/backend.h"
#include "core/text_writer.h"

namespace nsameta::cpu {

int32_t num_tunables();
void get_tunable(const policy& policy, int32_t tunable_idx, nsameta_tunable* tunable);
void set_tunable(policy* policy, int32_t tunable_idx, int64_t value);

// Lines for nsameta_plan_explain. Lengths are not read: what they decide counts as its bound.
void explain(const nsameta_build_metadata_desc& desc, const policy& policy, text_writer* text);
void explain(const nsameta_copy_metadata_desc& desc, const policy& policy, text_writer* text);
void explain(const nsameta_map_topk_to_slots_desc& desc, const policy& policy, text_writer* text);
void explain(const nsameta_mla_schedule_desc& desc, const policy& policy, text_writer* text);

}  // namespace nsameta::cpu
