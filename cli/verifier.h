// Compares what the library built with the oracle, bit for bit, and sees to it that nothing else was written.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cli/builder.h"
#include "cli/mismatch.h"
#include "cli/table_verifier.h"
#include "reference/build_metadata.h"

namespace nsameta::cli {

// One output after a build. `cells` is the whole place, capacity and the cells up to the next place included; the
// first expected.size() must equal `expected`, the others what they were `before`.
struct output_image {
  const char* name;
  std::span<const int32_t> cells;
  std::span<const int32_t> before;
  std::span<const int32_t> expected;
};

// Looks at the cells beyond the expected ones as well: at all of them when `check_all`, at the next one otherwise.
void compare_output(const output_image& image, bool check_all, int64_t step, nsameta_mode mode, mismatch_list* list);

// For one builder. Keeps an image of its buffers from build to build.
class verifier {
 public:
  // Both outlive the verifier.
  verifier(const session& owner, const builder& source);

  // Call before a build that is checked; `lengths` are those of the build.
  void prepare(const batch& lengths);
  // Call after it.
  void check(int64_t step, mismatch_list* list);
  // Call after a build that is not checked.
  void skip() { is_current_ = false; }

 private:
  std::span<const int32_t> view(const std::vector<int32_t>& values) const { return values; }
  std::span<const int32_t> view(int64_t scalar);
  std::span<const int32_t> view(const std::vector<std::vector<int32_t>>&) const { return {}; }

  const builder& builder_;
  table_verifier tables_;
  std::vector<int32_t> before_;
  std::vector<int32_t> scratch_;
  bool is_current_ = false;  // before_ is what the buffers hold
  int64_t num_checks_ = 0;
  reference::metadata_inputs inputs_;
  reference::metadata expected_;
  int32_t expected_total_ = 0;
};

}  // namespace nsameta::cli
