// Takes the place of a vendor's launcher, and writes down what it is given.
#pragma once

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <typeinfo>

#include "core/text_writer.h"

namespace nsameta::simt {

// "build_metadata_plain<4, false>": a kernel's type without namespaces and without its trait.
inline std::string short_kernel_name(const std::type_info& kernel) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> spelt(abi::__cxa_demangle(kernel.name(), nullptr, nullptr, &status),
                                                          &std::free);
  std::string name = status == 0 ? spelt.get() : kernel.name();
  // Scopes first, so that the trait's name begins where its argument does.
  for (std::size_t end = name.find("::"); end != std::string::npos; end = name.find("::")) {
    const std::size_t begin = name.find_last_of("<, ", end);
    const std::size_t first = begin == std::string::npos ? 0 : begin + 1;
    name.erase(first, end + 2 - first);
  }
  for (const char* trait : {"rt<32>, ", "rt<64>, ", "rt, ", "<rt<32>>", "<rt<64>>", "<rt<32> >", "<rt<64> >", "<rt>"}) {
    const std::string part = trait;
    for (std::size_t at = name.find(part); at != std::string::npos; at = name.find(part)) name.erase(at, part.size());
  }
  return name;
}

struct explaining_launcher {
  text_writer* text;

  template <class Kernel>
  int operator()(int num_blocks, int block_threads, const typename Kernel::params&, int num_sets = 1,
                 int cluster_size = 1) const {
    text->line("kernel: %s", short_kernel_name(typeid(Kernel)).c_str());
    text->line("blocks: %d", num_blocks);
    text->line("threads: %d", block_threads);
    text->line("sets: %d", num_sets);
    text->line("blocks_of_cluster: %d", cluster_size);
    return 0;
  }
};

}  // namespace nsameta::simt
