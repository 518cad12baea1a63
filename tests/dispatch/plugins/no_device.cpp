// Loads and probes, but there is nothing to run on.
#include "tests/dispatch/plugins/host_plugin.h"

NSAMETA_PLUGIN_ENTRY([](nsameta_backend& table) {
  table.probe = [](int32_t* num_devices) {
    *num_devices = 0;
    return NSAMETA_OK;
  };
})
