#include "python/module/context.h"

#include <nanobind/stl/string.h>

#include <charconv>
#include <string_view>
#include <utility>
#include <vector>

#include "python/module/device_name.h"
#include "python/module/errors.h"

namespace nb = nanobind;

namespace nsameta::python {
namespace {

const char* check_name(int32_t check) {
  switch (check) {
    case NSAMETA_CHECK_TOKENS_OVER_CAPACITY: return "tokens_over_capacity";
    case NSAMETA_CHECK_NEGATIVE_KV: return "negative_kv";
    case NSAMETA_CHECK_NEGATIVE_QUERY: return "negative_query";
    case NSAMETA_CHECK_POOL_ROW: return "pool_row";
    case NSAMETA_CHECK_KV_OVER_CONTEXT: return "kv_over_context";
    case NSAMETA_CHECK_KEYS_OVER_CAPACITY: return "keys_over_capacity";
    case NSAMETA_CHECK_NUM_REQUESTS: return "num_requests";
    case NSAMETA_CHECK_TOPK_INDEX: return "topk_index";
    default: return "unknown";
  }
}

nb::object fault_of(const context_object& self) {
  const nsameta_fault fault = self.handle->fault();
  if (fault.check == NSAMETA_CHECK_NONE) return nb::none();
  nb::dict described;
  described["check"] = check_name(fault.check);
  described["request_idx"] = fault.request_idx;
  described["value"] = fault.value;
  return described;
}

nb::dict tunables_of(const context_object& self) {
  nb::dict values;
  for (const nsameta_tunable& each : self.handle->tunables()) values[each.name] = each.value;
  return values;
}

}  // namespace

std::shared_ptr<context> default_context(nsameta_device device) {
  static auto& known = *new std::vector<std::shared_ptr<context>>();
  for (const auto& each : known) {
    const nsameta_device served = each->device();
    if (served.type == device.type && served.id == device.id) return each;
  }
  return known.emplace_back(std::make_shared<context>(device));
}

std::shared_ptr<context> context_from(PyObject* object) {
  const context_object* found = nullptr;
  if (!nb::try_cast(nb::handle(object), found) || found == nullptr) {
    raise(PyExc_TypeError, "context must be an nsameta.Context, not %.200s", Py_TYPE(object)->tp_name);
  }
  return found->handle;
}

void define_context(nb::module_& module) {
  nb::class_<context_object>(module, "Context",
                             "Runs operations for tensors in the memory of one device.\n\n"
                             "Calls without a context use one that is made for the device on first use.")
      .def(
          "__init__",
          [](context_object* self, nb::handle device, nb::handle backend) {
            if (!backend.is_none() && !nb::isinstance<nb::str>(backend)) {
              raise(PyExc_TypeError, "backend must be a str or None, not %.200s", Py_TYPE(backend.ptr())->tp_name);
            }
            const std::string name = backend.is_none() ? "" : nb::cast<std::string>(backend);
            new (self) context_object{std::make_shared<context>(device_from(device), name)};
          },
          nb::arg("device"), nb::arg("backend") = nb::none(),
          "device: 'cpu', 'cuda', 'cuda:1', 'rocm:0', or a torch.device. backend: 'cuda', 'hip', 'cpu'; None: as\n"
          "NSAMETA_BACKEND, SGLANG_NSA_USE_TRITON_METADATA and the memory say.\n\n"
          "Raises ValueError for a device that cannot be read, RuntimeError for a backend that is unknown or cannot "
          "be\n"
          "used, with the reason of each.")
      .def_prop_ro(
          "device", [](const context_object& self) { return device_name(self.handle->device()); },
          "The device whose memory it serves, such as 'cuda:0'.")
      .def_prop_ro(
          "backend", [](const context_object& self) { return self.handle->backend(); },
          "The backend that runs its operations: 'cuda', 'hip', 'cpu'.")
      .def_prop_ro(
          "is_staged", [](const context_object& self) { return self.handle->is_staged(); },
          "True when the CPU computes for tensors of a GPU: each call copies and synchronises.")
      .def_prop_ro(
          "num_launches", [](const context_object& self) { return self.handle->num_launches(); },
          "Operations so far, one-shot and by plan; replays of a captured graph are not seen.")
      .def("fault", &fault_of,
           "The first fault that a launch found in its data, as {'check', 'request_idx', 'value'}; None: there is "
           "none.\n"
           "Does not synchronise: a launch that still runs may not have reported yet.")
      .def(
          "clear_fault", [](context_object& self) { self.handle->clear_fault(); },
          "Forgets the fault. No launch of the context may be running.")
      .def("tunables", &tunables_of, "Numbers that change the speed of calls and never their results, by name.")
      .def(
          "set_tunable",
          [](context_object& self, const std::string& name, int64_t value) { self.handle->set_tunable(name, value); },
          nb::arg("name"), nb::arg("value"), "Raises ValueError for an unknown name or a value out of range.")
      .def(
          "synchronize",
          [](const context_object& self, uintptr_t stream) {
            self.handle->synchronize(reinterpret_cast<void*>(stream));
          },
          nb::arg("stream") = 0, "Waits for the work on a stream (a cudaStream_t or hipStream_t as int).")
      .def("__repr__", [](const context_object& self) {
        return "nsameta.Context('" + device_name(self.handle->device()) + "', backend='" + self.handle->backend() +
               (self.handle->is_staged() ? "', staged)" : "')");
      });
}

}  // namespace nsameta::python
