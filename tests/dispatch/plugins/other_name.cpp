// Calls itself something else than its file does.
#include "tests/dispatch/plugins/host_plugin.h"

NSAMETA_PLUGIN_ENTRY([](nsameta_backend& table) { table.name = "impostor"; })
