// Built against another version of core/backend.h: only the first field means what it says.
#include "tests/dispatch/plugins/host_plugin.h"

NSAMETA_PLUGIN_ENTRY([](nsameta_backend& table) {
  std::memset(&table, 0x7E, sizeof(table));
  table.abi_version = 4711;
})
