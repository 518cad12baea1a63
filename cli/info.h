// `nsameta info`: what this installation can do here.
#pragma once

namespace nsameta::cli {

// Returns the exit code: not 0 only when the environment asks for a backend that cannot be had.
int run_info(bool as_json);

}  // namespace nsameta::cli
