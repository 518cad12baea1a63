// How the program fails, and its exit codes.
#pragma once

#include <stdexcept>

namespace nsameta::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitMismatch = 1;
inline constexpr int kExitUsage = 2;     // bad arguments or input, or no backend for them
inline constexpr int kExitInternal = 3;  // out of memory, a failing device, a broken invariant

// The user can do something about it: exit code 2.
struct usage_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace nsameta::cli
