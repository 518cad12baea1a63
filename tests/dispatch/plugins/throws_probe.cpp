// The probe throws what is no std::exception.
#include "tests/dispatch/plugins/host_plugin.h"

NSAMETA_PLUGIN_ENTRY([](nsameta_backend& table) { table.probe = [](int32_t*) -> nsameta_status { throw 42; }; })
