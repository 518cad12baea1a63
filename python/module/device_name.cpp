#include "python/module/device_name.h"

#include <charconv>
#include <string_view>

#include "python/module/errors.h"

namespace nb = nanobind;

namespace nsameta::python {
namespace {

// torch on ROCm calls its devices "cuda".
bool is_of_rocm_torch(nb::handle device) {
  if (nb::isinstance<nb::str>(device)) return false;
  PyObject* torch = PyDict_GetItemString(PyImport_GetModuleDict(), "torch");
  if (torch == nullptr) return false;
  const nb::object type = nb::getattr(nb::handle(torch), "device", nb::none());
  return device.type().is(type) && !nb::getattr(nb::getattr(nb::handle(torch), "version"), "hip", nb::none()).is_none();
}

}  // namespace

nsameta_device device_from(nb::handle device) {
  const nb::str text(device);
  const std::string_view name = text.c_str();
  const size_t colon = name.find(':');
  const std::string_view type = name.substr(0, colon);
  int32_t id = 0;
  bool is_readable = true;
  if (colon != std::string_view::npos) {
    const auto [end, failure] = std::from_chars(name.data() + colon + 1, name.data() + name.size(), id);
    is_readable = failure == std::errc() && end == name.data() + name.size() && id >= 0;
  }
  if (is_readable && type == "cpu" && id == 0) return {NSAMETA_DEVICE_CPU, 0};
  if (is_readable && type == "cuda") return {is_of_rocm_torch(device) ? NSAMETA_DEVICE_ROCM : NSAMETA_DEVICE_CUDA, id};
  if (is_readable && (type == "rocm" || type == "hip")) return {NSAMETA_DEVICE_ROCM, id};
  raise(PyExc_ValueError, "device=%R must be 'cpu', 'cuda', 'cuda:N', 'rocm' or 'rocm:N'", device.ptr());
}

std::string device_name(nsameta_device device) {
  switch (device.type) {
    case NSAMETA_DEVICE_CPU: return "cpu";
    case NSAMETA_DEVICE_CUDA: return "cuda:" + std::to_string(device.id);
    default: return "rocm:" + std::to_string(device.id);
  }
}

}  // namespace nsameta::python
