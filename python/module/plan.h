// nsameta.Plan.
#ifndef NSAMETA_PYTHON_PLAN_H
#define NSAMETA_PYTHON_PLAN_H

#include <nanobind/nanobind.h>

namespace nsameta::python {

void define_plan(nanobind::module_& module);

}  // namespace nsameta::python

#endif
