// The arguments of one call, from Python to the library's structs.
#ifndef NSAMETA_PYTHON_ARGUMENTS_H
#define NSAMETA_PYTHON_ARGUMENTS_H

#include <nanobind/nanobind.h>

#include <memory>
#include <vector>

#include "nsameta/nsameta.hpp"
#include "python/module/operation.h"
#include "python/module/tensor.h"

namespace nsameta::python {

struct bound_tensor {
  PyObject* tensor;
  argument_name name;
  access wanted;
  nsameta_tensor view;
};

class arguments {
 public:
  // With `record_tensors` each tensor is listed in tensors().
  explicit arguments(const operation& of, bool record_tensors = false);
  arguments(const arguments&) = delete;  // args_ points into the lists
  arguments& operator=(const arguments&) = delete;

  // Throws TypeError for a keyword that the operation does not have, and what is wrong with the value. None leaves the
  // default.
  void take(PyObject* name, PyObject* value);
  // After the last: throws TypeError without any tensor. The context that was given, or the default one of the memory.
  std::shared_ptr<context> finish();

  const operation_args& args() const { return args_; }
  PyObject* out() const { return out_; }
  // The stream of the call: the one that was given, or the caller's current one.
  void* stream() const;

  const producer* from() const { return from_; }
  dlpack::device memory() const { return memory_; }
  const std::vector<bound_tensor>& tensors() const { return tensors_; }
  std::vector<nanobind::object>& lent() { return lent_; }

 private:
  void take_tensor(PyObject* tensor, const argument_name& name, access wanted, nsameta_tensor* view);
  void take_outputs(PyObject* outputs, const char* list, size_t idx, nsameta_metadata_outputs* into);
  void take_more_outputs(PyObject* list);
  void take_pairs(PyObject* list);

  const operation* of_;
  bool records_tensors_;
  operation_args args_;
  const producer* from_ = nullptr;  // of the first tensor
  dlpack::device memory_{};
  nsameta_device device_{};
  PyObject* context_ = nullptr;
  PyObject* stream_ = nullptr;
  PyObject* out_ = nullptr;
  std::vector<nanobind::object> lent_;
  std::vector<nsameta_metadata_outputs> more_outputs_;
  std::vector<nsameta_copy_pair> pairs_;
  std::vector<bound_tensor> tensors_;
};

// Of an int; None: the current stream of the producer.
void* stream_from(PyObject* stream, const producer& from, dlpack::device memory);

}  // namespace nsameta::python

#endif
