// How many bytes a build has to move, and how fast this device moves bytes when it only copies.
#pragma once

#include <cstdint>
#include <optional>

#include "cli/builder.h"

namespace nsameta::cli {

// What a build reads and writes at least: lengths once, each live key of a request once, each output cell once.
int64_t bytes_moved(const builder& source, const batch& lengths);

// GB/s of a copy of that many bytes, bytes read and bytes written both counted; none where this backend cannot copy
// within its device.
std::optional<double> measure_copy(const session& where, size_t bytes);

}  // namespace nsameta::cli
