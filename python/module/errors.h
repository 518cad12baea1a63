// From what went wrong to a Python exception.
#ifndef NSAMETA_PYTHON_ERRORS_H
#define NSAMETA_PYTHON_ERRORS_H

#include <nanobind/nanobind.h>

#include "nsameta/nsameta.hpp"

namespace nsameta::python {

// ValueError for INVALID_ARGUMENT, MemoryError for OUT_OF_MEMORY, RuntimeError otherwise.
PyObject* exception_of(nsameta_status status) noexcept;

// Sets a Python exception and throws nb::python_error. The format is PyErr_Format's.
[[noreturn]] void raise(PyObject* exception, const char* format, ...);

// Calls `body`, and returns NULL with a Python exception set where it throws. For functions that CPython calls itself.
template <class Body>
PyObject* guarded(Body&& body) noexcept {
  try {
    return std::forward<Body>(body)();
  } catch (nanobind::python_error& error) {
    error.restore();
  } catch (const nsameta::error& error) {
    PyErr_SetString(exception_of(error.status()), error.what());
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

}  // namespace nsameta::python

#endif
