// Devices as Python writes them: "cpu", "cuda:1", "rocm:0", or anything whose str() says so.
#ifndef NSAMETA_PYTHON_DEVICE_NAME_H
#define NSAMETA_PYTHON_DEVICE_NAME_H

#include <nanobind/nanobind.h>

#include <string>

#include "nsameta/nsameta.h"

namespace nsameta::python {

// Throws ValueError for what cannot be read.
nsameta_device device_from(nanobind::handle device);
std::string device_name(nsameta_device device);

}  // namespace nsameta::python

#endif
