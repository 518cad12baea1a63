// The operations as functions of the module.
#ifndef NSAMETA_PYTHON_FUNCTIONS_H
#define NSAMETA_PYTHON_FUNCTIONS_H

#include <nanobind/nanobind.h>

namespace nsameta::python {

void define_functions(nanobind::module_& module);

}  // namespace nsameta::python

#endif
