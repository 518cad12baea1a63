#include "tests/support/emu/code_line.h"

#include <dlfcn.h>

#include <array>
#include <cstdio>
#include <sstream>

namespace nsameta::emu {

std::string code_line(std::uintptr_t code) {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(code), &info) == 0 || info.dli_fname == nullptr) return "unknown code";
  std::ostringstream offset;
  offset << "0x" << std::hex << code - reinterpret_cast<std::uintptr_t>(info.dli_fbase);
  const std::string file = info.dli_fname;
  std::array<char, 512> text{};
  const std::string command = "addr2line -s -e '" + file + "' " + offset.str() + " 2>/dev/null";
  if (FILE* pipe = popen(command.c_str(), "r"); pipe != nullptr) {
    if (std::fgets(text.data(), static_cast<int>(text.size()), pipe) == nullptr) text[0] = '\0';
    pclose(pipe);
  }
  std::string line = text.data();
  line = line.substr(0, line.find_first_of(" \n"));
  return line.empty() || line.front() == '?' ? file + "+" + offset.str() : line;
}

}  // namespace nsameta::emu
