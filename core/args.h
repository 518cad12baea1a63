// Args structs of callers that were built against another version of the header.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "nsameta/nsameta.h"

namespace nsameta {

// Fails unless `caller` is a struct of at least `oldest` bytes whose bytes from `known` on are zero. op:
// "build_metadata".
[[nodiscard]] nsameta_status check_struct_size(const char* op, const void* caller, size_t oldest, size_t known);

// Finds the caller's struct as this library knows it: itself where the sizes agree, else a copy in `storage`. Fields
// that an older caller lacks have their defaults, and fields that only a newer library knows must be zero. oldest: size
// of the struct in its first version.
template <class Args>
[[nodiscard]] nsameta_status read_args(const char* op, size_t oldest, Args (*default_args)(), const Args* caller,
                                       Args* storage, const Args** args) {
  if (caller != nullptr && caller->struct_size == sizeof(Args)) {
    *args = caller;
    return NSAMETA_OK;
  }
  if (const auto status = check_struct_size(op, caller, oldest, sizeof(Args)); status != NSAMETA_OK) return status;
  *storage = default_args();
  std::memcpy(storage, caller, std::min(caller->struct_size, sizeof(Args)));
  *args = storage;
  return NSAMETA_OK;
}

}  // namespace nsameta
