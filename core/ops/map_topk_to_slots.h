// map_topk_to_slots: what a caller asked for, checked and normalised for the backends.
#pragma once

#include "core/backend.h"

namespace nsameta::map_topk_to_slots {

// All tensors absent.
nsameta_map_topk_to_slots_args default_args();

// Checks everything that the host can see and fills `desc`. Pure: reads no tensor data. On failure the message names
// argument, value and rule, and `desc` is unspecified.
[[nodiscard]] nsameta_status check(const nsameta_map_topk_to_slots_args* args, nsameta_device device,
                                   nsameta_map_topk_to_slots_desc* desc);

}  // namespace nsameta::map_topk_to_slots
