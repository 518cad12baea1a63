// Where a case comes from, as a file that a failure leaves behind and `nsameta_fuzz --reproduce` reads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz_case.h"

namespace nsameta::fuzz {

// Either a number of a seed's cases or bytes.
struct origin {
  uint64_t seed = 0;
  uint64_t case_idx = 0;
  std::vector<uint8_t> bytes{};  // not empty: these instead of seed and case_idx
  std::vector<nsameta_op> ops{};
};

std::vector<nsameta_op> all_ops();

fuzz_case draw(const origin& from);

// Writes `<folder>/nsameta_fuzz_<op>_<seed>_<case>.json` and returns its name. The file repeats the case in words.
std::string write_reproducer(const std::string& folder, const origin& from, const std::string& failure);

// A file of write_reproducer(), or any other file as bytes. Throws std::runtime_error.
origin read_reproducer(const std::string& path);

}  // namespace nsameta::fuzz
