// What a process does that uses the library for the first time.
#pragma once

#include <string>

#include "nsameta/nsameta.h"

namespace nsameta::bench {

// Loads libnsameta.so from `library`, makes a context for `device`, and builds the metadata of a draft-extend step of
// 32 requests twice. Prints the stages; returns the exit status.
int run_library_process(const std::string& library, nsameta_device device);

}  // namespace nsameta::bench
