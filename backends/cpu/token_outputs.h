// The outputs with an element per token, for code that treats all alike.
#pragma once

#include <cstdint>

#include "core/backend.h"

namespace nsameta::cpu {

// Calls visit(output, num_leading) for each wanted per-token output of all sets; token t is element t + num_leading.
template <typename Visit>
void for_each_token_output(const nsameta_build_metadata_desc& desc, Visit visit) {
  const auto visit_wanted = [&](const nsameta_output& output, int num_leading) {
    if (output.data != nullptr) visit(output, num_leading);
  };
  for (int i = 0; i < desc.num_sets; ++i) {
    const nsameta_output_set& set = desc.sets[i];
    visit_wanted(set.seqlens_expanded, 0);
    visit_wanted(set.nsa_cache_seqlens, 0);
    visit_wanted(set.nsa_cu_seqlens_k, 1);
    visit_wanted(set.token_to_batch_idx, 0);
    visit_wanted(set.positions, 0);
    visit_wanted(set.topk_indices_offset, 0);
    visit_wanted(set.indexer_ks, 0);
    visit_wanted(set.indexer_ke, 0);
    visit_wanted(set.out_slots, 0);
  }
}

}  // namespace nsameta::cpu
