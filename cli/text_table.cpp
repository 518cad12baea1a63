#include "cli/text_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace nsameta::cli {
namespace {

constexpr size_t kLastRows = 4;  // that stay where the middle is left out

// Where the two parts of the heading are most alike in length.
size_t best_break(const std::string& heading) {
  size_t best = heading.size();
  for (size_t i = 0; i < heading.size(); ++i) {
    if (heading[i] == '_' && std::max(i + 1, heading.size() - i - 1) < best)
      best = std::max(i + 1, heading.size() - i - 1);
  }
  for (size_t i = 0; i < heading.size(); ++i) {
    if (heading[i] == '_' && std::max(i + 1, heading.size() - i - 1) == best) return i + 1;
  }
  return 0;
}

}  // namespace

void text_table::add_column(std::string heading, std::vector<std::string> cells) {
  column added{{"", std::move(heading)}, std::move(cells), 0};
  size_t cell_width = 0;
  for (const auto& cell : added.cells) cell_width = std::max(cell_width, cell.size());
  if (added.heading[1].size() > cell_width) {
    const size_t end = best_break(added.heading[1]);
    added.heading[0] = added.heading[1].substr(0, end);
    added.heading[1].erase(0, end);
  }
  added.width = std::max({cell_width, added.heading[0].size(), added.heading[1].size()});
  num_rows_ = std::max(num_rows_, added.cells.size());
  columns_.push_back(std::move(added));
}

void text_table::print_row(std::FILE* out, size_t row) const {
  std::string line;
  for (const auto& c : columns_) line += fmt::format("  {:>{}}", row < c.cells.size() ? c.cells[row] : "", c.width);
  line.erase(line.find_last_not_of(' ') + 1);
  fmt::print(out, "{}\n", line);
}

void text_table::print(std::FILE* out) const {
  for (const size_t part : {0U, 1U}) {
    std::string line;
    for (const auto& c : columns_) line += fmt::format("  {:>{}}", c.heading[part], c.width);
    line.erase(line.find_last_not_of(' ') + 1);
    if (!line.empty()) fmt::print(out, "{}\n", line);
  }
  const size_t num_first = num_rows_ > max_rows_ ? max_rows_ - kLastRows : num_rows_;
  for (size_t row = 0; row < num_first; ++row) print_row(out, row);
  if (num_first == num_rows_) return;
  fmt::print(out, "  ... {} rows left out\n", num_rows_ - num_first - kLastRows);
  for (size_t row = num_rows_ - kLastRows; row < num_rows_; ++row) print_row(out, row);
}

}  // namespace nsameta::cli
