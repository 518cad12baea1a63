#include "python/module/plan.h"

#include <nanobind/stl/string.h>

#include <memory>
#include <string>
#include <vector>

#include "python/module/arguments.h"
#include "python/module/context.h"
#include "python/module/device_name.h"
#include "python/module/errors.h"

namespace nb = nanobind;

namespace nsameta::python {
namespace {

struct plan_destroyer {
  void operator()(nsameta_plan* handle) const noexcept { nsameta_plan_destroy(handle); }
};

// The tensors, what they lent, their storages and the context outlive the handle, which is destroyed first.
struct plan_object {
  const operation* of = nullptr;
  std::shared_ptr<context> owner;
  std::vector<nb::object> lent;
  std::vector<nb::object> tensors;
  std::vector<bound_tensor> bound;
  const producer* from = nullptr;
  dlpack::device memory{};
  bool is_checked = false;
  std::unique_ptr<nsameta_plan, plan_destroyer> handle;
};

// What torch's set_(), or an assignment to .data, takes from a tensor stays until the plan goes. Neither the tensor nor
// what its __dlpack__ lends would keep it. Nothing keeps what resize_() of a tensor or a storage frees.
void keep_storage(nb::handle tensor, std::vector<nb::object>& lent) {
  const nb::object storage = nb::getattr(tensor, "untyped_storage", nb::none());
  if (!storage.is_none()) lent.push_back(storage());
}

void init_plan(plan_object* self, const std::string& op, bool check, const nb::kwargs& keywords) {
  const operation* of = find_operation(op.c_str());
  if (of == nullptr) {
    raise(PyExc_ValueError, "op='%s' must be 'build_metadata', 'copy_metadata', 'map_topk_to_slots' or 'mla_schedule'",
          op.c_str());
  }
  arguments read(*of, true);
  for (const auto& [name, value] : keywords) {
    if (nb::cast<std::string>(name) == "stream") raise(PyExc_TypeError, "stream: give it to run()");
    read.take(name.ptr(), value.ptr());
  }
  auto owner = read.finish();
  for (const bound_tensor& each : read.tensors()) keep_storage(each.tensor, read.lent());
  nsameta_plan* raw = nullptr;
  throw_on_failure(nsameta_plan_create(owner->get(), of->op, &read.args(), &raw));
  new (self) plan_object{of, std::move(owner), std::move(read.lent()), {}, {}, read.from(), read.memory(), check, {}};
  self->handle.reset(raw);
  self->bound = read.tensors();
  for (const bound_tensor& each : self->bound) self->tensors.push_back(nb::borrow(each.tensor));
}

bool is_same(const nsameta_tensor& a, const nsameta_tensor& b) {
  return a.data == b.data && a.ndim == b.ndim && a.dtype == b.dtype && a.device.type == b.device.type &&
         a.device.id == b.device.id && a.shape[0] == b.shape[0] && a.shape[1] == b.shape[1] &&
         a.strides[0] == b.strides[0] && a.strides[1] == b.strides[1];
}

void check_tensors(const plan_object& self) {
  std::vector<nb::object> lent;
  for (const bound_tensor& each : self.bound) {
    if (is_same(borrow_tensor(each.tensor, each.name, each.wanted, lent).view, each.view)) continue;
    raise(PyExc_ValueError, "%s: its memory, shape or strides changed after the plan was made",
          each.name.str().c_str());
  }
}

// The hot call: it allocates nothing, unless tensors are checked, and keeps the GIL.
void run(plan_object& self, int32_t batch, int64_t num_tokens, int64_t max_kv, nb::handle stream) {
  if (self.is_checked) check_tensors(self);
  void* on = nullptr;
  if (self.from != nullptr) on = stream_from(stream.ptr(), *self.from, self.memory);
  const nsameta_status status = nsameta_plan_run(self.handle.get(), batch, num_tokens, max_kv, on);
  if (status != NSAMETA_OK) raise(exception_of(status), "%s", nsameta_last_error_message());
}

std::string explain(const plan_object& self, int32_t batch, int64_t num_tokens, int64_t max_kv) {
  size_t needed = 0;
  throw_on_failure(nsameta_plan_explain(self.handle.get(), batch, num_tokens, max_kv, nullptr, 0, &needed));
  std::string text(needed, '\0');
  throw_on_failure(
      nsameta_plan_explain(self.handle.get(), batch, num_tokens, max_kv, text.data(), text.size(), nullptr));
  text.pop_back();
  return text;
}

// A tensor may refer to the plan, as an attribute of it.
int traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self)) return 0;
  for (const nb::object& each : nb::inst_ptr<plan_object>(self)->tensors) Py_VISIT(each.ptr());
  return 0;
}

int clear(PyObject* self) {
  if (!nb::inst_ready(self)) return 0;
  auto* plan = nb::inst_ptr<plan_object>(self);
  plan->handle.reset();
  plan->bound.clear();
  plan->lent.clear();
  plan->tensors.clear();
  return 0;
}

PyType_Slot slots[] = {
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)}, {Py_tp_clear, reinterpret_cast<void*>(clear)}, {0, nullptr}};

}  // namespace

void define_plan(nb::module_& module) {
  nb::class_<plan_object>(
      module, "Plan", nb::type_slots(slots),
      "The arguments of one operation, checked and bound once; run() is one launch.\n\n"
      "Keeps its tensors and their memory alive, but for what torch's resize_() frees. Belongs to one\n"
      "thread at a time.")
      .def(
          "__init__", &init_plan, nb::arg("op") = "build_metadata", nb::kw_only(), nb::arg("check") = false,
          nb::arg("arguments"),
          "op: 'build_metadata', 'copy_metadata', 'map_topk_to_slots' or 'mla_schedule', whose keyword arguments\n"
          "follow, without stream. batch is the largest that the plan will run. check: whether each run() begins with\n"
          "check_tensors().\n\n"
          "Raises what the operation raises.")
      .def("run", &run, nb::arg("batch") = -1, nb::arg("num_tokens") = -1, nb::arg("max_kv") = -1,
           nb::arg("stream") = nb::none(),
           "Runs for the first `batch` requests (-1: all; map_topk_to_slots counts tokens, copy_metadata takes -1).\n"
           "num_tokens and max_kv are upper bounds that the host knows (-1: as bound): they size the launch and never\n"
           "change a result. stream: a cudaStream_t or hipStream_t as int; None: the caller's current stream.\n\n"
           "Allocates nothing and never synchronises, except in a staged context. May be captured in a graph.")
      .def("check_tensors", &check_tensors,
           "Raises ValueError, naming the argument, if a tensor's memory, shape or strides are no longer those that\n"
           "were bound, such as after resize_() or set_(). run() does not look, unless the plan was made with "
           "check=True.")
      .def("explain", &explain, nb::arg("batch") = -1, nb::arg("num_tokens") = -1, nb::arg("max_kv") = -1,
           "What such a run would choose, and why: lines `key: value`.")
      .def_prop_ro(
          "op", [](const plan_object& self) { return self.of->name; }, "Name of the operation.")
      .def_prop_ro(
          "context", [](const plan_object& self) { return context_object{self.owner}; }, "The context that runs it.")
      .def("__repr__", [](const plan_object& self) {
        return std::string("nsameta.Plan('") + self.of->name + "', device='" + device_name(self.owner->device()) + "')";
      });
}

}  // namespace nsameta::python
