// What every function of the C ABI does around its work.
#pragma once

#include <exception>
#include <new>

#include "core/status.h"

namespace nsameta::dispatch {

[[nodiscard]] inline nsameta_status refuse_null(const char* argument) {
  return fail(NSAMETA_INVALID_ARGUMENT, "%s=NULL is not allowed", argument);
}

// Turns an exception into a status; costs nothing where none is thrown.
template <class Call>
[[nodiscard]] nsameta_status guarded(const Call& call) noexcept {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return fail(NSAMETA_OUT_OF_MEMORY, "out of host memory");
  } catch (const std::exception& e) {
    return fail(NSAMETA_INTERNAL_ERROR, "unexpected exception: %s", e.what());
  } catch (...) {
    return fail(NSAMETA_INTERNAL_ERROR, "unexpected exception of unknown type");
  }
}

}  // namespace nsameta::dispatch
