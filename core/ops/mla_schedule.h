// mla_schedule: what a caller asked for, checked and normalised for the backends.
#pragma once

#include "core/backend.h"

namespace nsameta::mla_schedule {

inline constexpr int64_t kRowWords = 8;  // of a part

// FlashMLA's defaults; all tensors absent.
nsameta_mla_schedule_args default_args();

// Checks everything that the host can see and fills `desc`. Pure: reads no tensor data. On failure the message names
// argument, value and rule, and `desc` is unspecified.
[[nodiscard]] nsameta_status check(const nsameta_mla_schedule_args* args, nsameta_device device,
                                   nsameta_mla_schedule_desc* desc);

}  // namespace nsameta::mla_schedule
