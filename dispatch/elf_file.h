// A look at a shared object before it is loaded.
#pragma once

#include <string>

namespace nsameta::dispatch {

// Why loading `path` could take the process down, "" when nothing speaks against trying: the loader maps a truncated
// file without complaint, and the first touch of a page behind its end is a bus error.
std::string find_truncation(const std::string& path);

}  // namespace nsameta::dispatch
