// What the type of a tensor offers to those who want its memory. Asked once per type.
#ifndef NSAMETA_PYTHON_PRODUCER_H
#define NSAMETA_PYTHON_PRODUCER_H

#include <nanobind/nanobind.h>

#include "python/module/argument_name.h"
#include "python/module/dlpack.h"

namespace nsameta::python {

struct producer {
  const dlpack::exchange_api* exchange = nullptr;  // NULL: __dlpack__ is called on each tensor
  PyObject* raw_stream_getter = nullptr;           // of a torch without the exchange API; NULL: none
  bool calls_rocm_cuda = false;                    // torch on ROCm, of versions that report its devices as CUDA

  // The stream on which the caller works now, a cudaStream_t or hipStream_t; NULL: the default one.
  void* current_stream(dlpack::device memory) const;
};

// Lives as long as the process. Throws TypeError, with the argument's name, for an object that is no tensor.
const producer& producer_of(PyObject* tensor, const argument_name& argument);

}  // namespace nsameta::python

#endif
