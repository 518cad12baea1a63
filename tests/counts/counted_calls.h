// The calls whose instructions and launches are counted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "nsameta/nsameta.hpp"

namespace nsameta::counts {

struct counted_call {
  std::string name;  // "verify_b32.plan"
  std::function<void()> run;
  std::function<std::string()> explain{};  // what a plan says that it would do; empty for one-shot calls
};

// Tensors of int32 in one block, in the order in which they are asked for: checks sort them by address. Host memory,
// whatever the device says: counting_gpu never reads it.
class tensor_memory {
 public:
  explicit tensor_memory(nsameta_device device)
      : device_(device), block_(static_cast<std::int32_t*>(::operator new(kBytes, kAlignment))), free_(block_.get()) {}
  nsameta_tensor vector(std::size_t size, std::int32_t value = 0);
  nsameta_tensor matrix(std::size_t num_rows, std::size_t num_columns);

 private:
  static constexpr std::size_t kBytes = std::size_t{4} << 20;
  static constexpr std::align_val_t kAlignment{4096};
  struct deleter {
    void operator()(std::int32_t* data) const { ::operator delete(data, kAlignment); }
  };
  nsameta_device device_;
  std::unique_ptr<std::int32_t, deleter> block_;
  std::int32_t* free_;
};

// Every operation, as a plan and as a one-shot call. `memory` and `on` outlive them.
std::vector<counted_call> make_counted_calls(const context& on, tensor_memory* memory);

}  // namespace nsameta::counts
