#include "tests/support/emu/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#ifdef NSAMETA_EMU_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#ifndef __x86_64__
#error "The emulator changes stacks in x86-64 assembly; ucontext.h would do elsewhere."
#endif

// Saves what a call must keep, changes the stack, restores. The sixth word of a fresh stack is where it begins.
extern "C" void nsameta_emu_switch(void** from, void* to);
asm(R"(
.text
.type nsameta_emu_switch, @function
.globl nsameta_emu_switch
.hidden nsameta_emu_switch
nsameta_emu_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size nsameta_emu_switch, .-nsameta_emu_switch
)");

namespace nsameta::emu {
namespace {

#ifdef NSAMETA_EMU_ASAN
// Bounds of the thread's own stack, for the way back.
const void* g_thread_stack = nullptr;
std::size_t g_thread_stack_bytes = 0;
#endif

}  // namespace

void context::prepare(void* stack, std::size_t bytes, void (*entry)()) {
  stack_ = stack;
  stack_bytes_ = bytes;
  constexpr int kSaved = 6;
  auto* top = reinterpret_cast<std::uintptr_t*>(static_cast<std::byte*>(stack) + bytes);
#ifdef NSAMETA_EMU_ASAN
  __asan_unpoison_memory_region(stack, bytes);
#endif
  *--top = 0;  // where a return address would be: keeps the alignment that a call gives
  *--top = reinterpret_cast<std::uintptr_t>(entry);
  for (int i = 0; i < kSaved; ++i) *--top = 0;
  stack_pointer_ = top;
}

void context::enter(context& from, [[maybe_unused]] bool is_last) {
#ifdef NSAMETA_EMU_ASAN
  void* fake_stack = nullptr;
  const void* bottom = stack_ != nullptr ? stack_ : g_thread_stack;
  const std::size_t bytes = stack_ != nullptr ? stack_bytes_ : g_thread_stack_bytes;
  __sanitizer_start_switch_fiber(is_last ? nullptr : &fake_stack, bottom, bytes);
  nsameta_emu_switch(&from.stack_pointer_, stack_pointer_);
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#else
  nsameta_emu_switch(&from.stack_pointer_, stack_pointer_);
#endif
}

void context::arrive() {
#ifdef NSAMETA_EMU_ASAN
  const void* bottom = nullptr;
  std::size_t bytes = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &bytes);
  if (g_thread_stack == nullptr) {
    g_thread_stack = bottom;
    g_thread_stack_bytes = bytes;
  }
#endif
}

void* stack_pool::at(std::size_t idx) {
  while (idx >= chunks_.size() * kStacksOfChunk) {
    constexpr std::size_t kChunkBytes = kStacksOfChunk * (kBytes + kGuard);
    void* data = mmap(nullptr, kChunkBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) throw std::bad_alloc();
    chunks_.push_back(static_cast<std::byte*>(data));
    // Stacks grow down, into the guard below them.
    for (std::size_t i = 0; i < kStacksOfChunk; ++i)
      mprotect(chunks_.back() + i * (kBytes + kGuard), kGuard, PROT_NONE);
  }
  return chunks_[idx / kStacksOfChunk] + idx % kStacksOfChunk * (kBytes + kGuard) + kGuard;
}

stack_pool::~stack_pool() {
  for (std::byte* chunk : chunks_) munmap(chunk, kStacksOfChunk * (kBytes + kGuard));
}

}  // namespace nsameta::emu
