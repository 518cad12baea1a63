// nsameta._core: the C ABI for Python.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>

#include "nsameta/nsameta.hpp"
#include "python/module/context.h"
#include "python/module/device_name.h"
#include "python/module/errors.h"
#include "python/module/functions.h"
#include "python/module/plan.h"

namespace nb = nanobind;

namespace nsameta::python {
namespace {

nb::dict describe(const nsameta_device_info& device) {
  nb::dict described;
  described["device"] = device_name(device.device);
  described["name"] = device.name;
  described["arch"] = device.arch;
  described["memory_bytes"] = device.memory_bytes;
  described["warp_width"] = device.warp_width;
  described["num_multiprocessors"] = device.num_multiprocessors;
  return described;
}

nb::list list_backends() {
  nb::list all;
  for (const backend_info& each : backends()) {
    nb::list devices;
    for (const nsameta_device_info& device : each.devices) devices.append(describe(device));
    nb::dict described;
    described["name"] = each.name;
    described["usable"] = each.usable;
    described["reason"] = each.reason;
    described["path"] = each.path;
    described["priority"] = each.priority;
    described["devices"] = devices;
    all.append(described);
  }
  return all;
}

nb::dict info() {
  nb::dict described;
  described["version"] = nsameta_version_string();
  described["abi_version"] = nsameta_abi_version();
  described["build"] = nsameta_build_string();
  described["backends"] = list_backends();
  return described;
}

void translate(const std::exception_ptr& thrown, void* /*payload*/) {
  try {
    std::rethrow_exception(thrown);
  } catch (const error& failure) {
    PyErr_SetString(exception_of(failure.status()), failure.what());
  }
}

}  // namespace
}  // namespace nsameta::python

// LD_LIBRARY_PATH may name another libnsameta.so before the one of the package.
NB_MODULE(_core, module) {
  if (nsameta_abi_version() != NSAMETA_ABI_VERSION) {
    nsameta::python::raise(PyExc_ImportError, "libnsameta.so has ABI version %d, but nsameta._core was built for %d",
                           static_cast<int>(nsameta_abi_version()), NSAMETA_ABI_VERSION);
  }
  nb::register_exception_translator(nsameta::python::translate);
  nsameta::python::define_context(module);
  nsameta::python::define_plan(module);
  nsameta::python::define_functions(module);
  module.def(
      "backends", &nsameta::python::list_backends,
      "Every backend by priority, usable or not: dicts of name, usable, reason (why not), path, priority, devices.");
  module.def("info", &nsameta::python::info, "Version, ABI version, build and backends of the loaded library.");
  module.attr("__version__") = nsameta_version_string();
}
