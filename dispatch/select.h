// Which backend serves a memory, and why. A pure function, so that tests can ask it about any machine.
#pragma once

#include <string>

#include "dispatch/registry.h"
#include "dispatch/settings.h"

namespace nsameta::dispatch {

struct selection {
  nsameta_status status = NSAMETA_OK;
  std::string message;                     // of a status other than NSAMETA_OK
  const backend_entry* backend = nullptr;  // runs the operations
  const backend_entry* owner = nullptr;    // reads the memory; another one than `backend` when staged
  std::string reason;                      // "priority", "NSAMETA_BACKEND=cpu", ...
  bool is_notable = false;                 // worth a line in the log: an override, or not the first choice

  bool staged() const { return owner != backend; }
};

// name: the explicit argument; NULL, "" and "auto" mean that it was not given. The result points into `all`.
selection select(nsameta_device device, const char* name, const settings& overrides, const registry& all);

}  // namespace nsameta::dispatch
