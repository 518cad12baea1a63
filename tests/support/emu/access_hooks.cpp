// What code that is compiled with -fsanitize=thread calls at each access to memory. Such code is linked with this file
// and not with the sanitizer's own library, which knows nothing of the threads of a grid.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tests/support/emu/access_checker.h"

namespace {

using nsameta::emu::check_access;

// The call stands before the access, and the line of a call is that of the byte before its return address.
std::uintptr_t before(const void* return_address) { return reinterpret_cast<std::uintptr_t>(return_address) - 1; }

}  // namespace

// NOLINTBEGIN(readability-identifier-naming): the compilers' names.

#define NSAMETA_HOOK(name, bytes, is_write) \
  void name(void* address) { check_access(address, bytes, is_write, before(__builtin_return_address(0))); }
#define NSAMETA_HOOKS(bytes)                               \
  NSAMETA_HOOK(__tsan_read##bytes, bytes, false)           \
  NSAMETA_HOOK(__tsan_write##bytes, bytes, true)           \
  NSAMETA_HOOK(__tsan_unaligned_read##bytes, bytes, false) \
  NSAMETA_HOOK(__tsan_unaligned_write##bytes, bytes, true) \
  void __tsan_read_write##bytes(void* address) {           \
    const auto code = before(__builtin_return_address(0)); \
    check_access(address, bytes, false, code);             \
    check_access(address, bytes, true, code);              \
  }

extern "C" {

NSAMETA_HOOKS(1)
NSAMETA_HOOKS(2)
NSAMETA_HOOKS(4)
NSAMETA_HOOKS(8)
NSAMETA_HOOKS(16)

void __tsan_read_range(void* address, std::size_t bytes) {
  check_access(address, bytes, false, before(__builtin_return_address(0)));
}
void __tsan_write_range(void* address, std::size_t bytes) {
  check_access(address, bytes, true, before(__builtin_return_address(0)));
}

void* __tsan_memcpy(void* to, const void* from, std::size_t bytes) {
  const auto code = before(__builtin_return_address(0));
  check_access(from, bytes, false, code);
  check_access(to, bytes, true, code);
  return std::memcpy(to, from, bytes);
}
void* __tsan_memmove(void* to, const void* from, std::size_t bytes) {
  const auto code = before(__builtin_return_address(0));
  check_access(from, bytes, false, code);
  check_access(to, bytes, true, code);
  return std::memmove(to, from, bytes);
}
void* __tsan_memset(void* to, int value, std::size_t bytes) {
  check_access(to, bytes, true, before(__builtin_return_address(0)));
  return std::memset(to, value, bytes);
}

// Of no interest here: calls, tables of virtual functions, and the guards of static variables.
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void**) {}
void __tsan_vptr_update(void**, void*) {}
std::uint8_t __tsan_atomic8_load(const volatile std::uint8_t* address, int) {
  return __atomic_load_n(address, __ATOMIC_SEQ_CST);
}

}  // extern "C"

// NOLINTEND(readability-identifier-naming)
