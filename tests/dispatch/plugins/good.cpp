// A third party's backend: nothing is wrong with it.
#include "tests/dispatch/plugins/host_plugin.h"

NSAMETA_PLUGIN_ENTRY([](nsameta_backend&) {})
