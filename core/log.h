// Where the library's few messages go: the caller's callback, or standard error when NSAMETA_LOG asks for it, else
// nowhere. Safe from any thread; never used on a path that runs every step.
#pragma once

#include "nsameta/nsameta.h"

namespace nsameta {

[[gnu::format(printf, 2, 3)]] void log(nsameta_log_level level, const char* format, ...);

// fn == NULL: back to what NSAMETA_LOG says. Returns when no message is being sent to the earlier callback any more.
void set_log_callback(nsameta_log_fn fn, void* user, nsameta_log_level level);

}  // namespace nsameta
