#include "python/module/errors.h"

#include <cstdarg>

namespace nsameta::python {

PyObject* exception_of(nsameta_status status) noexcept {
  switch (status) {
    case NSAMETA_INVALID_ARGUMENT: return PyExc_ValueError;
    case NSAMETA_OUT_OF_MEMORY: return PyExc_MemoryError;
    default: return PyExc_RuntimeError;
  }
}

void raise(PyObject* exception, const char* format, ...) {
  va_list values;
  va_start(values, format);
  PyErr_FormatV(exception, format, values);
  va_end(values);
  throw nanobind::python_error();
}

}  // namespace nsameta::python
