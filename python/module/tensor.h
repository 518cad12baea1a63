// From a Python tensor to the view that the library takes. Never copies memory.
#ifndef NSAMETA_PYTHON_TENSOR_H
#define NSAMETA_PYTHON_TENSOR_H

#include <nanobind/nanobind.h>

#include <vector>

#include "nsameta/nsameta.h"
#include "python/module/producer.h"

namespace nsameta::python {

enum class access { READ, WRITE };

struct borrowed_tensor {
  nsameta_tensor view;
  const producer* from;
  dlpack::device memory;  // as the producer calls it
};

// `lent` receives what __dlpack__ returned, which must live as long as the view is used. Throws TypeError (no tensor,
// or elements that are neither int32 nor int64) or ValueError (shape, device, read-only), each with the argument's
// name.
borrowed_tensor borrow_tensor(PyObject* tensor, const argument_name& argument, access wanted,
                              std::vector<nanobind::object>& lent);

}  // namespace nsameta::python

#endif
