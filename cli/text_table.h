// Columns of text under headings, aligned to the right.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace nsameta::cli {

class text_table {
 public:
  // A heading that is longer than its cells is broken at an underscore into two lines. Missing cells stay blank.
  void add_column(std::string heading, std::vector<std::string> cells);
  // Leaves out the middle of tables with more rows than this.
  void limit_rows(size_t max_rows) { max_rows_ = max_rows; }
  void print(std::FILE* out) const;

 private:
  struct column {
    std::string heading[2];
    std::vector<std::string> cells;
    size_t width;
  };

  void print_row(std::FILE* out, size_t row) const;

  std::vector<column> columns_;
  size_t num_rows_ = 0;
  size_t max_rows_ = SIZE_MAX;
};

}  // namespace nsameta::cli
