// nsameta.Context, and the contexts that calls without one use.
#ifndef NSAMETA_PYTHON_CONTEXT_H
#define NSAMETA_PYTHON_CONTEXT_H

#include <nanobind/nanobind.h>

#include <memory>

#include "nsameta/nsameta.hpp"

namespace nsameta::python {

// What a Context object holds; plans keep the context alive beyond it.
struct context_object {
  std::shared_ptr<context> handle;
};

// Made on first use, one for each device, and kept until the process ends.
std::shared_ptr<context> default_context(nsameta_device device);
// Throws TypeError for anything but a Context.
std::shared_ptr<context> context_from(PyObject* object);

void define_context(nanobind::module_& module);

}  // namespace nsameta::python

#endif
