// The names of build_metadata's outputs, as options give them.
#pragma once

#include <string>
#include <vector>

namespace nsameta::cli {

// A list with commas, as --outputs takes it; "" is an empty one. Throws usage_error for a name that is no output's.
std::vector<std::string> parse_output_names(const std::string& list);

}  // namespace nsameta::cli
