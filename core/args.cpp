#include "core/args.h"

#include "core/status.h"

namespace nsameta {

nsameta_status check_struct_size(const char* op, const void* caller, size_t oldest, size_t known) {
  if (caller == nullptr) return fail(NSAMETA_INVALID_ARGUMENT, "args=NULL must point to nsameta_%s_args", op);
  size_t size = 0;
  std::memcpy(&size, caller, sizeof(size));
  if (size < oldest) {
    return fail(NSAMETA_INVALID_ARGUMENT, "struct_size=%zu is not that of nsameta_%s_args; call nsameta_%s_args_init",
                size, op, op);
  }
  const auto* bytes = static_cast<const unsigned char*>(caller);
  if (size > known && std::any_of(bytes + known, bytes + size, [](unsigned char b) { return b != 0; })) {
    return fail(NSAMETA_INVALID_ARGUMENT, "struct_size=%zu holds fields that this library (%zu bytes) does not know",
                size, known);
  }
  return NSAMETA_OK;
}

}  // namespace nsameta
