// The thread's last error message. Every failure in the library goes through fail().
#pragma once

#include "nsameta/nsameta.h"

namespace nsameta {

// Stores the formatted message for nsameta_last_error_message and returns `status`.
[[nodiscard, gnu::format(printf, 2, 3)]] nsameta_status fail(nsameta_status status, const char* format, ...);

const char* last_error_message();

}  // namespace nsameta
