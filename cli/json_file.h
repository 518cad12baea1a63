// Where --json goes.
#pragma once

#include <fmt/format.h>

#include <fstream>
#include <stdexcept>
#include <string>

namespace nsameta::cli {

// Writes a JSON text and a line feed to a file, or to standard output for "-".
inline void write_json_text(const std::string& text, const std::string& path) {
  if (path == "-") {
    fmt::print("{}\n", text);
    return;
  }
  std::ofstream file(path);
  file << text << '\n' << std::flush;
  if (!file) throw std::runtime_error(fmt::format("--json={}: cannot be written", path));
}

}  // namespace nsameta::cli
