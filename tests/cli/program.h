// Starts the nsameta program as a shell does.
#pragma once

#include <string>

namespace nsameta::test {

struct outcome {
  int exit_status;
  std::string out;
  std::string err;
};

// environment: NAME=value pairs, or "". Variables of the library that are set outside do not reach the program. Runs in
// the test's own empty folder, so that no trace is found by chance.
outcome run_program(const std::string& arguments, const std::string& environment = "");

// Writes a file of that folder and returns its path.
std::string write_file(const std::string& name, const std::string& text);
std::string read_file(const std::string& path);

}  // namespace nsameta::test
