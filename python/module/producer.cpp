#include "python/module/producer.h"

#include <cstring>
#include <unordered_map>

#include "python/module/errors.h"

namespace nb = nanobind;

namespace nsameta::python {
namespace {

const dlpack::exchange_api* exchange_api_of(nb::handle type) {
  nb::object capsule = nb::getattr(type, "__dlpack_c_exchange_api__", nb::none());
  if (!PyCapsule_IsValid(capsule.ptr(), "dlpack_exchange_api")) return nullptr;
  const auto* api =
      static_cast<const dlpack::exchange_api*>(PyCapsule_GetPointer(capsule.ptr(), "dlpack_exchange_api"));
  while (api != nullptr && api->protocol.major != dlpack::kMajorVersion) api = api->older;
  return api != nullptr && api->view != nullptr && api->current_stream != nullptr ? api : nullptr;
}

// Of torch, if the type or one of its bases is torch's tensor.
nb::object torch_of(nb::handle type) {
  PyObject* modules = PyImport_GetModuleDict();
  PyObject* torch = PyDict_GetItemString(modules, "torch");
  if (torch == nullptr) return nb::none();
  nb::object tensor = nb::getattr(nb::handle(torch), "Tensor", nb::none());
  if (!PyType_Check(tensor.ptr())) return nb::none();
  const bool is_tensor =
      PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(type.ptr()), reinterpret_cast<PyTypeObject*>(tensor.ptr())) != 0;
  return is_tensor ? nb::borrow(torch) : nb::none();
}

producer ask(nb::handle type) {
  producer asked;
  asked.exchange = exchange_api_of(type);
  const nb::object torch = torch_of(type);
  if (torch.is_none()) return asked;
  nb::object getter = nb::getattr(nb::getattr(torch, "_C"), "_cuda_getCurrentRawStream", nb::none());
  if (!getter.is_none()) asked.raw_stream_getter = getter.release().ptr();
  asked.calls_rocm_cuda = !nb::getattr(nb::getattr(torch, "version"), "hip", nb::none()).is_none();
  return asked;
}

}  // namespace

void* producer::current_stream(dlpack::device memory) const {
  if (exchange != nullptr) {
    const auto type = memory.type == dlpack::device_type::CUDA_MANAGED ? dlpack::device_type::CUDA : memory.type;
    void* stream = nullptr;
    if (exchange->current_stream(type, memory.id, &stream) != 0) throw nb::python_error();
    return stream;
  }
  if (raw_stream_getter == nullptr) return nullptr;
  nb::object number = nb::handle(raw_stream_getter)(memory.id);
  void* stream = PyLong_AsVoidPtr(number.ptr());
  if (stream == nullptr && PyErr_Occurred() != nullptr) throw nb::python_error();
  return stream;
}

// Types and what they offered are kept: few exist, and a type that went could be mistaken for one at its address.
const producer& producer_of(PyObject* tensor, const argument_name& argument) {
  static auto& known = *new std::unordered_map<PyTypeObject*, producer>();
  static PyTypeObject* last_type = nullptr;
  static const producer* last = nullptr;
  PyTypeObject* type = Py_TYPE(tensor);
  if (type == last_type) return *last;
  auto found = known.find(type);
  if (found == known.end()) {
    nb::handle object(reinterpret_cast<PyObject*>(type));
    const producer asked = ask(object);
    if (asked.exchange == nullptr && !nb::hasattr(object, "__dlpack__")) {
      raise(PyExc_TypeError, "%s: %.200s is no tensor: it has no __dlpack__", argument.str().c_str(), type->tp_name);
    }
    Py_INCREF(type);
    found = known.emplace(type, asked).first;
  }
  last_type = type;
  last = &found->second;
  return *last;
}

}  // namespace nsameta::python
