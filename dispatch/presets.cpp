#include "dispatch/presets.h"

#include <algorithm>

#include "core/ops/build_metadata.h"
#include "core/status.h"
#include "core/tensor.h"

namespace nsameta::dispatch {

nsameta_status take_tensor(const char* name, const nsameta_tensor* from, nsameta_tensor* to) {
  if (from == nullptr || !is_present(*from)) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s=NULL must be a tensor", name);
  }
  *to = *from;
  return NSAMETA_OK;
}

nsameta_status draft_extend_args(const draft_extend_tensors& tensors, int32_t topk, nsameta_build_metadata_args* args) {
  *args = build_metadata::default_args();
  args->mode = NSAMETA_MODE_DRAFT_EXTEND;
  args->clamp = NSAMETA_CLAMP_OFF;
  args->topk = topk;
  const struct {
    const char* name;
    const nsameta_tensor* from;
    nsameta_tensor* to;
  } required[] = {
      {"extend_seq_lens", tensors.extend_seq_lens, &args->extend_seq_lens},
      {"seq_lens", tensors.seq_lens, &args->seq_lens},
      {"seqlens_expanded", tensors.seqlens_expanded, &args->out.seqlens_expanded},
      {"nsa_cache_seqlens", tensors.nsa_cache_seqlens, &args->out.nsa_cache_seqlens},
  };
  for (const auto& tensor : required) {
    if (const auto status = take_tensor(tensor.name, tensor.from, tensor.to); status != NSAMETA_OK) return status;
  }
  args->batch = static_cast<int32_t>(std::clamp<int64_t>(args->extend_seq_lens.shape[0], -1, INT32_MAX));
  return NSAMETA_OK;
}

}  // namespace nsameta::dispatch
