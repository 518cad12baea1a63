// CPython calls these functions itself: with a dozen tensors as keywords, nanobind's dispatch would cost as much as the
// rest of the call.
#include "python/module/functions.h"

#include "python/module/arguments.h"
#include "python/module/docs.h"
#include "python/module/errors.h"

namespace nb = nanobind;

namespace nsameta::python {
namespace {

// Fills the fields by name; positional arguments are refused, but for `positional`, if any.
PyObject* call(const operation& of, const char* positional, PyObject* const* values, Py_ssize_t num_positional,
               PyObject* names) {
  return guarded([&]() -> PyObject* {
    const Py_ssize_t most = positional == nullptr ? 0 : 1;
    if (num_positional > most) {
      raise(PyExc_TypeError, "%s() takes %zd positional arguments, not %zd", of.name, most, num_positional);
    }
    arguments read(of);
    if (num_positional == 1) read.take(nb::str(positional).ptr(), values[0]);
    const Py_ssize_t num_names = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
    for (Py_ssize_t i = 0; i < num_names; ++i) read.take(PyTuple_GET_ITEM(names, i), values[num_positional + i]);
    const auto on = read.finish();
    const nsameta_status status = of.run(on->get(), read.args(), read.stream());
    if (status != NSAMETA_OK) raise(exception_of(status), "%s", nsameta_last_error_message());
    return Py_NewRef(read.out() == nullptr ? Py_None : read.out());
  });
}

// The names of outputs that the caller wants allocated; NULL: none. Such calls go through nsameta._allocate.
PyObject* outputs_wanted(PyObject* const* values, Py_ssize_t num_positional, PyObject* names) {
  static PyObject* const interned = PyUnicode_InternFromString("outputs");
  const Py_ssize_t num_names = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
  for (Py_ssize_t i = 0; i < num_names; ++i) {
    PyObject* name = PyTuple_GET_ITEM(names, i);
    // Mostly the address tells; not of a string that was put together at run time.
    if (name != interned && (PyUnicode_CHECK_INTERNED(name) != 0 || PyUnicode_Compare(name, interned) != 0)) continue;
    PyObject* outputs = values[num_positional + i];
    return outputs == Py_None ? nullptr : outputs;
  }
  return nullptr;
}

PyObject* build_metadata(PyObject* /*module*/, PyObject* const* values, Py_ssize_t num_positional, PyObject* names) {
  if (outputs_wanted(values, num_positional, names) == nullptr) {
    return call(build_metadata_operation(), nullptr, values, num_positional, names);
  }
  return guarded([&]() -> PyObject* {
    const nb::object allocating = nb::module_::import_("nsameta._allocate").attr("build_metadata");
    return PyObject_Vectorcall(allocating.ptr(), values, static_cast<size_t>(num_positional), names);
  });
}

PyObject* copy_metadata(PyObject* /*module*/, PyObject* const* values, Py_ssize_t num_positional, PyObject* names) {
  return call(copy_metadata_operation(), "pairs", values, num_positional, names);
}

PyObject* map_topk_to_slots(PyObject* /*module*/, PyObject* const* values, Py_ssize_t num_positional, PyObject* names) {
  return call(map_topk_to_slots_operation(), nullptr, values, num_positional, names);
}

PyObject* mla_schedule(PyObject* /*module*/, PyObject* const* values, Py_ssize_t num_positional, PyObject* names) {
  return call(mla_schedule_operation(), nullptr, values, num_positional, names);
}

// METH_FASTCALL | METH_KEYWORDS says what the function really takes.
template <auto Function>
PyCFunction as_method() {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(Function));
}

}  // namespace

void define_functions(nb::module_& module) {
  static PyMethodDef methods[] = {
      {"build_metadata", as_method<build_metadata>(), METH_FASTCALL | METH_KEYWORDS, kBuildMetadataDoc},
      {"copy_metadata", as_method<copy_metadata>(), METH_FASTCALL | METH_KEYWORDS, kCopyMetadataDoc},
      {"map_topk_to_slots", as_method<map_topk_to_slots>(), METH_FASTCALL | METH_KEYWORDS, kMapTopkToSlotsDoc},
      {"mla_schedule", as_method<mla_schedule>(), METH_FASTCALL | METH_KEYWORDS, kMlaScheduleDoc},
      {nullptr, nullptr, 0, nullptr}};
  if (PyModule_AddFunctions(module.ptr(), methods) != 0) throw nb::python_error();
}

}  // namespace nsameta::python
