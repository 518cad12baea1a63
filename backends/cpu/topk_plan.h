// The plan of the cluster top-k: which tokens see more keys than a threshold.
#pragma once

#include "backends/cpu/balance.h"
#include "backends/cpu/request_block.h"

namespace nsameta::cpu {

// Whether a plan of these many tokens is written.
bool is_planned(const nsameta_build_metadata_desc& desc, int64_t num_tokens);

// Of a batch that is one block, and of one in chunks.
void write_topk_plans(const request_source& source, const request_block& block);
void write_topk_plans(const request_source& source, const balance& balance);

}  // namespace nsameta::cpu
