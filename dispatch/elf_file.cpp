#include "dispatch/elf_file.h"

#include <elf.h>
#include <link.h>

#include <cstring>
#include <fstream>

namespace nsameta::dispatch {

std::string find_truncation(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  ElfW(Ehdr) header{};
  if (!file.read(reinterpret_cast<char*>(&header), sizeof(header))) return "";  // the loader says what is wrong
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != sizeof(ElfW(Phdr))) return "";
  file.seekg(0, std::ios::end);
  const auto size = static_cast<uint64_t>(file.tellg());
  const auto complain = [size](uint64_t needed) {
    return "is truncated: " + std::to_string(needed) + " bytes are needed, the file has " + std::to_string(size);
  };
  const uint64_t headers_end = header.e_phoff + uint64_t{header.e_phnum} * sizeof(ElfW(Phdr));
  if (headers_end > size || header.e_phoff > size) return complain(headers_end);
  file.seekg(static_cast<std::streamoff>(header.e_phoff));
  for (int i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment{};
    if (!file.read(reinterpret_cast<char*>(&segment), sizeof(segment))) return complain(headers_end);
    const uint64_t end = segment.p_offset + segment.p_filesz;
    if (segment.p_type == PT_LOAD && (end > size || end < segment.p_offset)) return complain(end);
  }
  return "";
}

}  // namespace nsameta::dispatch
