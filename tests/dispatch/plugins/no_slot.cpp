// Lacks a function that every backend needs.
#include "tests/dispatch/plugins/host_plugin.h"

NSAMETA_PLUGIN_ENTRY([](nsameta_backend& table) { table.copy_to_host = nullptr; })
