// Its driver is not what it needs.
#include "tests/dispatch/plugins/host_plugin.h"

NSAMETA_PLUGIN_ENTRY([](nsameta_backend& table) {
  table.probe = [](int32_t*) {
    nsameta::plugin::message = "driver 1.2 is older than 3.4";
    return NSAMETA_DEVICE_ERROR;
  };
})
