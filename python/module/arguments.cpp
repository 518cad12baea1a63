#include "python/module/arguments.h"

#include <cstring>

#include "python/module/context.h"
#include "python/module/errors.h"

namespace nb = nanobind;

namespace nsameta::python {
namespace {

int64_t int64_from(PyObject* value, const char* name) {
  const long long number = PyLong_AsLongLong(value);
  if (number != -1 || PyErr_Occurred() == nullptr) return number;
  const bool is_too_large = PyErr_ExceptionMatches(PyExc_OverflowError) != 0;
  PyErr_Clear();
  if (is_too_large) raise(PyExc_ValueError, "%s=%R does not fit in 64 bits", name, value);
  raise(PyExc_TypeError, "%s must be an int, not %.200s", name, Py_TYPE(value)->tp_name);
}

int32_t int32_from(PyObject* value, const char* name) {
  const int64_t number = int64_from(value, name);
  if (number != static_cast<int32_t>(number)) {
    raise(PyExc_ValueError, "%s=%lld does not fit in 32 bits", name, static_cast<long long>(number));
  }
  return static_cast<int32_t>(number);
}

bool bool_from(PyObject* value, const char* name) {
  if (!PyBool_Check(value)) raise(PyExc_TypeError, "%s must be a bool, not %.200s", name, Py_TYPE(value)->tp_name);
  return value == Py_True;
}

int32_t choice_from(PyObject* value, const field& of) {
  if (!PyUnicode_Check(value)) raise(PyExc_TypeError, "%s must be a str, not %.200s", of.name, Py_TYPE(value)->tp_name);
  for (const choice& each : of.choices) {
    if (PyUnicode_CompareWithASCIIString(value, each.name) == 0) return each.value;
  }
  std::string known;
  for (const choice& each : of.choices) known += (known.empty() ? "'" : ", '") + std::string(each.name) + "'";
  raise(PyExc_ValueError, "%s=%R must be one of %s", of.name, value, known.c_str());
}

// A list or tuple, whose items are borrowed.
size_t sequence_size(PyObject* value, const char* name) {
  if (!PyList_Check(value) && !PyTuple_Check(value)) {
    raise(PyExc_TypeError, "%s must be a list or a tuple, not %.200s", name, Py_TYPE(value)->tp_name);
  }
  return static_cast<size_t>(PySequence_Fast_GET_SIZE(value));
}

PyObject* item_of(PyObject* sequence, size_t idx) {
  return PySequence_Fast_GET_ITEM(sequence, static_cast<Py_ssize_t>(idx));
}

}  // namespace

void* stream_from(PyObject* stream, const producer& from, dlpack::device memory) {
  if (stream == nullptr || stream == Py_None) {
    return memory.type == dlpack::device_type::CPU ? nullptr : from.current_stream(memory);
  }
  if (!PyLong_Check(stream)) {
    raise(PyExc_TypeError, "stream must be an int (a cudaStream_t or hipStream_t), not %.200s",
          Py_TYPE(stream)->tp_name);
  }
  void* handle = PyLong_AsVoidPtr(stream);
  if (handle == nullptr && PyErr_Occurred() != nullptr) throw nb::python_error();
  return handle;
}

arguments::arguments(const operation& of, bool record_tensors) : of_(&of), records_tensors_(record_tensors) {
  of.init(&args_);
}

void arguments::take(PyObject* name, PyObject* value) {
  const field* found = of_->fields.find(name);
  if (found == nullptr) raise(PyExc_TypeError, "%s() has no argument %R", of_->name, name);
  if (value == Py_None) return;
  char* const at = reinterpret_cast<char*>(&args_) + found->offset;
  const auto set_int32 = [at](int32_t number) { std::memcpy(at, &number, sizeof(number)); };
  switch (found->kind) {
    case field_kind::INT32: return set_int32(int32_from(value, found->name));
    case field_kind::INT64: {
      const int64_t number = int64_from(value, found->name);
      std::memcpy(at, &number, sizeof(number));
      return;
    }
    case field_kind::FLAG: return set_int32(bool_from(value, found->name) ? 1 : 0);
    case field_kind::CLAMP: return set_int32(bool_from(value, found->name) ? NSAMETA_CLAMP_ON : NSAMETA_CLAMP_OFF);
    case field_kind::CHOICE: return set_int32(choice_from(value, *found));
    case field_kind::INPUT:
      return take_tensor(value, {found->name}, access::READ, reinterpret_cast<nsameta_tensor*>(at));
    case field_kind::OUTPUT:
      return take_tensor(value, {found->name}, access::WRITE, reinterpret_cast<nsameta_tensor*>(at));
    case field_kind::OUT:
      out_ = value;
      return take_outputs(value, nullptr, 0, reinterpret_cast<nsameta_metadata_outputs*>(at));
    case field_kind::MORE_OUTPUTS: return take_more_outputs(value);
    case field_kind::OUTPUTS: raise(PyExc_TypeError, "outputs: a plan takes tensors by out={name: tensor}");
    case field_kind::PAIRS: return take_pairs(value);
    case field_kind::CONTEXT: context_ = value; return;
    case field_kind::STREAM: stream_ = value; return;
  }
}

void arguments::take_tensor(PyObject* tensor, const argument_name& name, access wanted, nsameta_tensor* view) {
  const borrowed_tensor borrowed = borrow_tensor(tensor, name, wanted, lent_);
  *view = borrowed.view;
  if (from_ == nullptr) {
    from_ = borrowed.from;
    memory_ = borrowed.memory;
    device_ = borrowed.view.device;
  }
  if (records_tensors_) tensors_.push_back({tensor, name, wanted, borrowed.view});
}

void arguments::take_outputs(PyObject* outputs, const char* list, size_t idx, nsameta_metadata_outputs* into) {
  if (!PyDict_Check(outputs)) {
    raise(PyExc_TypeError, "%s must be a dict of output names and tensors, not %.200s", list == nullptr ? "out" : list,
          Py_TYPE(outputs)->tp_name);
  }
  Py_ssize_t position = 0;
  PyObject* name = nullptr;
  PyObject* tensor = nullptr;
  while (PyDict_Next(outputs, &position, &name, &tensor) != 0) {
    const field* found = metadata_output_fields().find(name);
    if (found == nullptr) raise(PyExc_ValueError, "out: there is no output %R", name);
    if (tensor == Py_None) continue;
    take_tensor(tensor, {found->name, list, idx}, access::WRITE,
                reinterpret_cast<nsameta_tensor*>(reinterpret_cast<char*>(into) + found->offset));
  }
}

void arguments::take_more_outputs(PyObject* list) {
  more_outputs_.resize(sequence_size(list, "more_outputs"));
  for (size_t i = 0; i < more_outputs_.size(); ++i) {
    more_outputs_[i] = {};
    take_outputs(item_of(list, i), "more_outputs", i, &more_outputs_[i]);
  }
  args_.build_metadata.num_more_outputs = static_cast<int32_t>(more_outputs_.size());
  args_.build_metadata.more_outputs = more_outputs_.data();
}

void arguments::take_pairs(PyObject* list) {
  pairs_.resize(sequence_size(list, "pairs"));
  for (size_t i = 0; i < pairs_.size(); ++i) {
    PyObject* pair = item_of(list, i);
    if (sequence_size(pair, "each item of pairs") != 2) {
      raise(PyExc_ValueError, "pairs[%zu] must be (source, destination)", i);
    }
    take_tensor(item_of(pair, 0), {"source", "pairs", i}, access::READ, &pairs_[i].source);
    take_tensor(item_of(pair, 1), {"destination", "pairs", i}, access::WRITE, &pairs_[i].destination);
  }
  args_.copy_metadata.num_pairs = static_cast<int32_t>(pairs_.size());
  args_.copy_metadata.pairs = pairs_.data();
}

std::shared_ptr<context> arguments::finish() {
  if (context_ != nullptr) return context_from(context_);
  if (from_ == nullptr) raise(PyExc_TypeError, "%s() got neither a tensor nor a context", of_->name);
  return default_context(device_);
}

void* arguments::stream() const {
  static const producer nobody;
  return stream_from(stream_, from_ == nullptr ? nobody : *from_, memory_);
}

}  // namespace nsameta::python
