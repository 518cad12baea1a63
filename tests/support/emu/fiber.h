// Stacks of their own for the threads of an emulated GPU, and how the processor changes from one to another.
#pragma once

#include <cstddef>
#include <vector>

// Whether the address sanitizer watches: it must be told of other stacks.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NSAMETA_EMU_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define NSAMETA_EMU_ASAN 1
#endif

namespace nsameta::emu {

// One flow of control: a fiber, or the thread that started the first of them.
class context {
 public:
  context() = default;
  context(const context&) = delete;
  context& operator=(const context&) = delete;

  // Lets `entry` begin on a stack when this context is entered for the first time. It must never return.
  void prepare(void* stack, std::size_t bytes, void (*entry)());

  // Leaves `from` and goes on here. is_last: `from` will never go on.
  void enter(context& from, bool is_last);

  // To be called first by an entry function.
  static void arrive();

 private:
  void* stack_pointer_ = nullptr;
  void* stack_ = nullptr;  // NULL: that of the thread, which arrive() learns
  std::size_t stack_bytes_ = 0;
};

// Memory of many stacks, each above a page that must not be touched.
class stack_pool {
 public:
  static constexpr std::size_t kBytes = 64 * 1024;
  ~stack_pool();
  void* at(std::size_t idx);  // made when it is first asked for; kBytes long

 private:
  static constexpr std::size_t kStacksOfChunk = 256;
  static constexpr std::size_t kGuard = 4096;
  std::vector<std::byte*> chunks_;
};

}  // namespace nsameta::emu
