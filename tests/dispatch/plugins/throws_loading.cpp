// A static initialiser throws out of dlopen.
#include "tests/dispatch/plugins/host_plugin.h"

#include <stdexcept>

namespace {
int fail_to_initialise() { throw std::runtime_error("no licence file"); }
const int kValue = fail_to_initialise();
}  // namespace

NSAMETA_PLUGIN_ENTRY([](nsameta_backend& table) { table.priority = kValue; })
