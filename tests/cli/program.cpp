#include "tests/cli/program.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace nsameta::test {
namespace {

namespace fs = std::filesystem;

// Gone when the process ends.
class own_folder {
 public:
  own_folder() : path_(fs::temp_directory_path() / ("nsameta_cli_test." + std::to_string(getpid()))) {
    fs::create_directories(path_ / "work");
  }
  ~own_folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  own_folder(const own_folder&) = delete;
  own_folder& operator=(const own_folder&) = delete;

  std::string file(const std::string& name) const { return (path_ / "work" / name).string(); }
  std::string work() const { return (path_ / "work").string(); }

 private:
  fs::path path_;
};

const own_folder& folder() {
  static const own_folder the_folder;
  return the_folder;
}

}  // namespace

std::string write_file(const std::string& name, const std::string& text) {
  const std::string path = folder().file(name);
  std::ofstream(path) << text;
  return path;
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

outcome run_program(const std::string& arguments, const std::string& environment) {
  const std::string out = folder().file("out");
  const std::string err = folder().file("err");
  const std::string command = "cd " + folder().work() +
                              " && unset NSAMETA_LOG NSAMETA_BACKEND NSAMETA_BACKEND_DIR NSAMETA_TRACES NSAMETA_TUNING "
                              "SGLANG_NSA_USE_TRITON_METADATA; env " +
                              environment + " " NSAMETA_PROGRAM " " + arguments + " > " + out + " 2> " + err;
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(err)};
}

}  // namespace nsameta::test
