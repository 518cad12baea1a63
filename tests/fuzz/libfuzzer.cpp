// The same cases, drawn from bytes that libFuzzer changes. A failure writes its file beside libFuzzer's own and aborts;
// `nsameta_fuzz --reproduce` takes either.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "tests/fuzz/machine.h"
#include "tests/fuzz/reproducer.h"

namespace nsameta::fuzz {
namespace {

int check_bytes(const uint8_t* bytes, size_t num_bytes) {
  static machine everything = [] {
    testing::InitGoogleTest();
    return machine({});
  }();
  if (num_bytes == 0) return -1;  // into no corpus
  const origin from{.bytes = {bytes, bytes + num_bytes}, .ops = all_ops()};
  const auto c = draw(from);
  const auto failure = everything.check(c);
  if (failure.empty()) return 0;
  std::ostringstream words;
  words << c;
  const auto file = write_reproducer(".", from, failure);
  std::fprintf(stderr, "FAILED: %s\n%s\nreproduce with --reproduce %s\n", failure.c_str(), words.str().c_str(),
               file.c_str());
  std::abort();
}

}  // namespace
}  // namespace nsameta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t num_bytes);  // NOLINT(readability-identifier-naming)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes,
                                      size_t num_bytes) {  // NOLINT(readability-identifier-naming)
  return nsameta::fuzz::check_bytes(bytes, num_bytes);
}
