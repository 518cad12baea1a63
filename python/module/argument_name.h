// How messages call an argument.
#ifndef NSAMETA_PYTHON_ARGUMENT_NAME_H
#define NSAMETA_PYTHON_ARGUMENT_NAME_H

#include <cstddef>
#include <string>

namespace nsameta::python {

// "seq_lens", or "pairs[3].source" of a list. Spelled out only for a message.
struct argument_name {
  const char* field;
  const char* list = nullptr;
  size_t idx = 0;

  std::string str() const {
    return list == nullptr ? field : std::string(list) + "[" + std::to_string(idx) + "]." + field;
  }
};

}  // namespace nsameta::python

#endif
