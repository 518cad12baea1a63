#include "core/status.h"

#include <cstdarg>
#include <cstdio>

namespace nsameta {
namespace {

// Long enough for a list of every backend with its reason; a longer message is cut.
thread_local char message[2048];

}  // namespace

nsameta_status fail(nsameta_status status, const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  return status;
}

const char* last_error_message() { return message; }

}  // namespace nsameta
