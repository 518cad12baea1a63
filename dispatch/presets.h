// The functions that engines call today, as arguments of build_metadata.
#pragma once

#include "nsameta/nsameta.h"

namespace nsameta::dispatch {

struct draft_extend_tensors {
  const nsameta_tensor* extend_seq_lens;
  const nsameta_tensor* seq_lens;
  const nsameta_tensor* seqlens_expanded;
  const nsameta_tensor* nsa_cache_seqlens;
};

// Draft-extend with no clamp, for as many requests as extend_seq_lens has elements. Fails when one of the four is NULL.
[[nodiscard]] nsameta_status draft_extend_args(const draft_extend_tensors& tensors, int32_t topk,
                                               nsameta_build_metadata_args* args);

// Copies a tensor that a preset requires into an args struct.
[[nodiscard]] nsameta_status take_tensor(const char* name, const nsameta_tensor* from, nsameta_tensor* to);

}  // namespace nsameta::dispatch
