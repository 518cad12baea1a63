#include "cli/output_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "cli/error.h"

namespace nsameta::cli {

namespace {

const std::vector<std::string>& output_names() {
  static const std::vector<std::string> names = {
#define NSAMETA_OUTPUT(name, kind) #name,
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  };
  return names;
}

}  // namespace

std::vector<std::string> parse_output_names(const std::string& list) {
  std::vector<std::string> names;
  std::istringstream parts(list);
  for (std::string name; std::getline(parts, name, ',');) {
    const auto& known = output_names();
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw usage_error(fmt::format("--outputs: '{}' must be one of {}", name, fmt::join(known, ", ")));
    }
    names.push_back(name);
  }
  return names;
}

}  // namespace nsameta::cli
