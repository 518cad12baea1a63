// copy_metadata: what a caller asked for, checked and normalised for the backends.
#pragma once

#include "core/backend.h"

namespace nsameta::copy_metadata {

// No pairs.
nsameta_copy_metadata_args default_args();

// Checks everything that the host can see and fills `desc`. Pure: reads no tensor data. On failure the message names
// argument, value and rule, and `desc` is unspecified.
[[nodiscard]] nsameta_status check(const nsameta_copy_metadata_args* args, nsameta_device device,
                                   nsameta_copy_metadata_desc* desc);

}  // namespace nsameta::copy_metadata
