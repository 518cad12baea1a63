// Compares the page tables of a build with the oracle: every row that exists, and that nothing behind it was written.
// Keeps no image of the tables, which may be hundreds of megabytes: a cell behind each row is marked before the build.
#pragma once

#include <cstdint>
#include <vector>

#include "cli/builder.h"
#include "cli/mismatch.h"
#include "reference/build_metadata.h"

namespace nsameta::cli {

class table_verifier {
 public:
  // Both outlive the verifier.
  table_verifier(const session& owner, const builder& source) : session_(owner), builder_(source) {}

  // Call before a build, with what the oracle expects of it.
  void prepare(const reference::metadata& expected);
  // Call after it.
  void check(const reference::metadata& expected, int64_t step, mismatch_list* list);

 private:
  // What a row of a table must hold from column 0 on.
  using row_cells = std::vector<int32_t>;

  // Calls visit(place, row, expected cells) for every row that exists.
  template <typename Visit>
  void for_each_row(const reference::metadata& expected, Visit&& visit) const;
  void mark(const table_place& place, int64_t row, int64_t column) const;
  void check_row(const table_place& place, int64_t row, const row_cells& expected, int64_t step, mismatch_list* list);

  const session& session_;
  const builder& builder_;
  std::vector<int32_t> scratch_;  // a row from a device
  row_cells nothing_;
  int64_t mark_interval_ = 1;  // rows
};

}  // namespace nsameta::cli
