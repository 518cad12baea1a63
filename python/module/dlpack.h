// What the module reads of DLPack 1.3, the protocol by which array libraries lend each other memory. Layouts and values
// are the protocol's; fields that are not read have no type.
#ifndef NSAMETA_PYTHON_DLPACK_H
#define NSAMETA_PYTHON_DLPACK_H

#include <cstdint>

namespace nsameta::python::dlpack {

enum class device_type : int32_t { CPU = 1, CUDA = 2, CUDA_HOST = 3, ROCM = 10, ROCM_HOST = 11, CUDA_MANAGED = 13 };

struct device {
  device_type type;
  int32_t id;
};

inline constexpr uint8_t kSignedInteger = 0;

struct data_type {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};

struct tensor {
  void* data;
  device memory;
  int32_t ndim;
  data_type dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; NULL from producers before 1.2: contiguous
  uint64_t byte_offset;
};

struct version {
  uint32_t major;
  uint32_t minor;
};

inline constexpr uint32_t kMajorVersion = 1;

// In a capsule "dltensor".
struct managed_tensor {
  tensor view;
  void* producer;
  void* release;
};

inline constexpr uint64_t kReadOnly = 1;
inline constexpr uint64_t kIsCopy = 2;

// In a capsule "dltensor_versioned".
struct managed_tensor_versioned {
  version protocol;
  void* producer;
  void* release;
  uint64_t flags;
  tensor view;
};

// In a capsule "dlpack_exchange_api", the attribute __dlpack_c_exchange_api__ of a tensor's type. Functions return 0,
// or set a Python exception. Both take no reference and wait for nothing.
struct exchange_api {
  version protocol;
  exchange_api* older;  // of an earlier major version
  void* allocate;
  void* lend;
  void* wrap;
  int (*view)(void* py_tensor, tensor* out);  // may be NULL; shape and strides live as long as the Python object
  int (*current_stream)(device_type type, int32_t id, void** stream);
};

}  // namespace nsameta::python::dlpack

#endif
