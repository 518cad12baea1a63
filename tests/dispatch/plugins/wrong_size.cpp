// The right version, but a table of another size.
#include "tests/dispatch/plugins/host_plugin.h"

NSAMETA_PLUGIN_ENTRY([](nsameta_backend& table) { table.struct_size = 24; })
