// Its entry function has nothing to give.
#include "core/backend.h"

extern "C" __attribute__((visibility("default"))) const nsameta_backend* nsameta_backend_entry(uint32_t) {
  return nullptr;
}
