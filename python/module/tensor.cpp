#include "python/module/tensor.h"

#include "python/module/errors.h"

namespace nb = nanobind;

namespace nsameta::python {
namespace {

// Memory of the host that a GPU can reach is the CPU's like any other.
nsameta_device device_of(const producer& from, dlpack::device memory, const argument_name& argument) {
  switch (memory.type) {
    case dlpack::device_type::CPU:
    case dlpack::device_type::CUDA_HOST:
    case dlpack::device_type::ROCM_HOST: return {NSAMETA_DEVICE_CPU, 0};
    case dlpack::device_type::CUDA:
      return {from.calls_rocm_cuda ? NSAMETA_DEVICE_ROCM : NSAMETA_DEVICE_CUDA, memory.id};
    case dlpack::device_type::CUDA_MANAGED: return {NSAMETA_DEVICE_CUDA, memory.id};
    case dlpack::device_type::ROCM: return {NSAMETA_DEVICE_ROCM, memory.id};
  }
  raise(PyExc_ValueError, "%s: is in memory of DLPack's device type %d: CPU, CUDA or ROCm is needed",
        argument.str().c_str(), static_cast<int>(memory.type));
}

nsameta_dtype dtype_of(const dlpack::tensor& tensor, const argument_name& argument) {
  const dlpack::data_type type = tensor.dtype;
  if (type.code == dlpack::kSignedInteger && type.lanes == 1 && type.bits == 32) return NSAMETA_INT32;
  if (type.code == dlpack::kSignedInteger && type.lanes == 1 && type.bits == 64) return NSAMETA_INT64;
  raise(PyExc_TypeError, "%s: elements of DLPack's type code %d with %d bits are neither int32 nor int64",
        argument.str().c_str(), static_cast<int>(type.code), static_cast<int>(type.bits));
}

nsameta_tensor view_of(const producer& from, const dlpack::tensor& tensor, const argument_name& argument) {
  if (tensor.ndim != 1 && tensor.ndim != 2) {
    raise(PyExc_ValueError, "%s: ndim=%d must be 1 or 2", argument.str().c_str(), static_cast<int>(tensor.ndim));
  }
  nsameta_tensor view{};
  view.data = tensor.data == nullptr ? nullptr : static_cast<char*>(tensor.data) + tensor.byte_offset;
  view.ndim = tensor.ndim;
  view.dtype = dtype_of(tensor, argument);
  view.device = device_of(from, tensor.memory, argument);
  // numpy's strides of an array without elements are 0.
  const bool is_empty = tensor.shape[0] == 0 || tensor.shape[tensor.ndim - 1] == 0;
  int64_t contiguous_stride = 1;
  for (int32_t d = tensor.ndim - 1; d >= 0; --d) {
    view.shape[d] = tensor.shape[d];
    view.strides[d] = tensor.strides != nullptr && !is_empty ? tensor.strides[d] : contiguous_stride;
    contiguous_stride *= tensor.shape[d];
  }
  // To the library it would be absent. Such are the tensors by which compilers trace.
  if (view.data == nullptr && !is_empty) {
    raise(PyExc_ValueError, "%s: has elements, but no memory", argument.str().c_str());
  }
  return view;
}

// Chains a ValueError to what the producer raised, where that is not a TypeError of its own.
[[noreturn]] void raise_refused(nb::python_error& error, const argument_name& argument) {
  PyObject* exception = error.matches(PyExc_TypeError) ? PyExc_TypeError : PyExc_ValueError;
  nb::raise_from(error, exception, "%s: its __dlpack__ refuses: %s", argument.str().c_str(),
                 nb::str(error.value()).c_str());
}

dlpack::device device_reported_by(nb::handle tensor) {
  nb::object reported = tensor.attr("__dlpack_device__")();
  // A device type is an int, or an enum of ints.
  return {static_cast<dlpack::device_type>(nb::cast<int32_t>(nb::int_(reported[0]))),
          nb::cast<int32_t>(nb::int_(reported[1]))};
}

// On a GPU -1 asks the producer not to synchronise: we launch on the stream on which the caller works. Producers from
// before DLPack 1.0 do not know max_version.
nb::object capsule_of(nb::handle tensor) {
  const bool is_on_host = device_reported_by(tensor).type == dlpack::device_type::CPU;
  nb::dict arguments;
  if (!is_on_host) arguments["stream"] = -1;
  nb::dict versioned;
  versioned.update(arguments);
  versioned["max_version"] = nb::make_tuple(1, 1);
  nb::object lend = tensor.attr("__dlpack__");
  try {
    return lend(**versioned);
  } catch (nb::python_error& error) {
    if (!error.matches(PyExc_TypeError)) throw;
  }
  return lend(**arguments);
}

borrowed_tensor borrow_by_capsule(PyObject* tensor, const producer& from, const argument_name& argument, access wanted,
                                  std::vector<nb::object>& lent) {
  const nb::object kept = nb::borrow(tensor);  // __dlpack__ may drop the container that we read it from
  nb::object capsule;
  try {
    capsule = capsule_of(tensor);
  } catch (nb::python_error& error) {
    raise_refused(error, argument);
  }
  const dlpack::tensor* view = nullptr;
  uint64_t flags = 0;
  if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned")) {
    const auto* managed =
        static_cast<const dlpack::managed_tensor_versioned*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor_versioned"));
    if (managed->protocol.major != dlpack::kMajorVersion) {
      raise(PyExc_ValueError, "%s: its __dlpack__ gives version %d of DLPack, not 1", argument.str().c_str(),
            static_cast<int>(managed->protocol.major));
    }
    view = &managed->view;
    flags = managed->flags;
  } else if (PyCapsule_IsValid(capsule.ptr(), "dltensor")) {
    view = &static_cast<const dlpack::managed_tensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"))->view;
  } else {
    raise(PyExc_TypeError, "%s: its __dlpack__ gives no DLPack capsule", argument.str().c_str());
  }
  if (wanted == access::WRITE && (flags & dlpack::kReadOnly) != 0) {
    raise(PyExc_ValueError, "%s: is read-only, but is written", argument.str().c_str());
  }
  if (wanted == access::WRITE && (flags & dlpack::kIsCopy) != 0) {
    raise(PyExc_ValueError, "%s: its __dlpack__ gives a copy, but it is written in place", argument.str().c_str());
  }
  borrowed_tensor borrowed{view_of(from, *view, argument), &from, view->memory};
  lent.push_back(std::move(capsule));
  return borrowed;
}

}  // namespace

borrowed_tensor borrow_tensor(PyObject* tensor, const argument_name& argument, access wanted,
                              std::vector<nb::object>& lent) {
  const producer& from = producer_of(tensor, argument);
  if (from.exchange == nullptr) return borrow_by_capsule(tensor, from, argument, wanted, lent);
  dlpack::tensor view{};
  if (from.exchange->view(tensor, &view) != 0) {
    nb::python_error error;
    raise_refused(error, argument);
  }
  return {view_of(from, view, argument), &from, view.memory};
}

}  // namespace nsameta::python
