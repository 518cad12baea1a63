// Needs a shared library that is not on this machine.
#include "tests/dispatch/plugins/host_plugin.h"

extern "C" int absent_runtime_version();

NSAMETA_PLUGIN_ENTRY([](nsameta_backend& table) { table.priority = absent_runtime_version(); })
