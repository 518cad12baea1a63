// Usable, but without the operation.
#include "tests/dispatch/plugins/host_plugin.h"

NSAMETA_PLUGIN_ENTRY([](nsameta_backend& table) { table.build_metadata = nullptr; })
