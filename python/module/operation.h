// The operations as Python sees them: which keyword fills which field of which struct.
#ifndef NSAMETA_PYTHON_OPERATION_H
#define NSAMETA_PYTHON_OPERATION_H

#include <nanobind/nanobind.h>

#include <array>
#include <cstddef>
#include <span>

#include "nsameta/nsameta.h"

namespace nsameta::python {

enum class field_kind {
  INT32,
  INT64,
  FLAG,          // bool into an int32_t
  CLAMP,         // bool into an nsameta_clamp
  CHOICE,        // str into an int32_t
  INPUT,         // tensor that is read
  OUTPUT,        // tensor that is written
  OUT,           // {name: tensor} into nsameta_metadata_outputs
  MORE_OUTPUTS,  // list of such
  OUTPUTS,       // names of outputs to allocate
  PAIRS,         // [(source, destination)]
  CONTEXT,
  STREAM
};

struct choice {
  const char* name;
  int32_t value;
};

struct field {
  const char* name;
  field_kind kind;
  size_t offset = 0;
  std::span<const choice> choices = {};
};

// Finds fields by name. Keywords of a call are interned strings, so that mostly their address tells.
class field_table {
 public:
  explicit field_table(std::span<const field> fields);
  const field* find(PyObject* name) const noexcept;  // NULL: there is none

 private:
  struct slot {
    PyObject* name = nullptr;
    const field* of = nullptr;
  };
  static size_t first_slot(PyObject* name) noexcept { return (reinterpret_cast<size_t>(name) >> 4) % kNumSlots; }

  static constexpr size_t kNumSlots = 128;  // a few times the most fields of an operation
  std::array<slot, kNumSlots> slots_{};
};

union operation_args {
  nsameta_build_metadata_args build_metadata;
  nsameta_copy_metadata_args copy_metadata;
  nsameta_map_topk_to_slots_args map_topk_to_slots;
  nsameta_mla_schedule_args mla_schedule;
};

struct operation {
  const char* name;
  nsameta_op op;
  field_table fields;
  void (*init)(operation_args* args);
  nsameta_status (*run)(const nsameta_context* context, const operation_args& args, void* stream);
};

const operation& build_metadata_operation();
const operation& copy_metadata_operation();
const operation& map_topk_to_slots_operation();
const operation& mla_schedule_operation();
const operation* find_operation(const char* name);  // NULL: there is none
const field_table& metadata_output_fields();        // offsets in nsameta_metadata_outputs

}  // namespace nsameta::python

#endif
