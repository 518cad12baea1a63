// Has a list of tunables that nobody can read.
#include "tests/dispatch/plugins/host_plugin.h"

NSAMETA_PLUGIN_ENTRY([](nsameta_backend& table) { table.num_tunables = [] { return int32_t{1}; }; })
