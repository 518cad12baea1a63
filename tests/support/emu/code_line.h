// The source line of an instruction of this process.
#pragma once

#include <cstdint>
#include <string>

namespace nsameta::emu {

// "scan.h:87" by addr2line, or file and offset where that does not know.
std::string code_line(std::uintptr_t code);

}  // namespace nsameta::emu
