// The entry function throws.
#include "tests/dispatch/plugins/host_plugin.h"

#include <stdexcept>

NSAMETA_PLUGIN_ENTRY([](nsameta_backend&) { throw std::runtime_error("entry refused"); })
