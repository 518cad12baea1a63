// Whether the threads of an emulated grid may touch memory in the order that they do, and in every other order that the
// kernel allows. Code that is compiled with -fsanitize=thread calls access_hooks.cpp, which calls check_access().
#pragma once

#include <cstddef>
#include <cstdint>

namespace nsameta::emu {

// The thread that runs reads or writes `bytes` at `address`; `code`: the instruction. Ends the launch
//   when another thread has accessed the same memory, one of the two writes, and no barrier that both met is between;
//   when shared memory is read that no thread of the block has written;
//   when the thread goes on and on without ever meeting others.
// Memory is told apart by words of 4 bytes. Blocks never wait for each other, so nothing orders their accesses.
void check_access(const void* address, std::size_t bytes, bool is_write, std::uintptr_t code);

}  // namespace nsameta::emu
