#include "backends/cpu/request_block.h"

#include "backends/cpu/lengths.h"

namespace nsameta::cpu {
namespace {

int64_t true_batch(const nsameta_build_metadata_desc& desc) {
  return desc.num_requests == nullptr ? desc.batch : std::clamp(*desc.num_requests, 0, desc.batch);
}

}  // namespace

request_source::request_source(const nsameta_build_metadata_desc& descriptor, const cpu::loops& loops_to_use)
    : desc(descriptor),
      loops(loops_to_use),
      batch(true_batch(descriptor)),
      is_ragged(desc.query_source == NSAMETA_QUERY_RAGGED),
      clamp(desc.clamp != 0),
      width(desc.query_width),
      sparsity(formula::sparsity::make(desc.topk, desc.kpool)) {
  if (desc.query_source == NSAMETA_QUERY_FIRST && batch > 0) {
    width = static_cast<int32_t>(length_at(desc.extend_seq_lens, 0));
  }
  for (int i = 0; i < desc.num_sets; ++i) {
    const nsameta_output_set& set = desc.sets[i];
    const bool is_flattened = set.page_table_1_flattened.data != nullptr;
    const bool is_table = set.page_table_1.data != nullptr || set.real_page_table.data != nullptr || is_flattened;
    needs_keys |= set.cu_seqlens_k.data != nullptr || set.topk_indices_offset.data != nullptr ||
                  set.indexer_ks.data != nullptr || set.indexer_ke.data != nullptr || is_flattened;
    needs_kept |= set.nsa_cu_seqlens_k.data != nullptr;
    needs_slots |= is_table || set.out_slots.data != nullptr;
    has_request_outputs |= set.cache_seqlens.data != nullptr || set.cu_seqlens_k.data != nullptr ||
                           set.cu_seqlens_q.data != nullptr || set.paged_mqa_ctx_lens_2d.data != nullptr;
    has_tables |= is_table;
    has_schedule |= set.paged_mqa_schedule.data != nullptr;
    has_plan |= set.topk_plan.data != nullptr;
  }
}

void request_block::drop_front(const request_source& source, int32_t dropped) {
  if (source.needs_kept) kept_start[0] += source.kept_of(kv[0] - q[0] + dropped, dropped);
  q[0] -= dropped;
  first_visible[0] = formula::wrap_add(first_visible[0], dropped);
  first_token += dropped;
  num_tokens -= dropped;
}

}  // namespace nsameta::cpu
