#include "cli/tuning_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/error.h"

namespace nsameta::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char* kSchema = "nsameta-tuning-1";

// An interruption waits until the file is whole.
class interrupt_delay {
 public:
  interrupt_delay() {
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupt, &previous_);
  }
  ~interrupt_delay() { pthread_sigmask(SIG_SETMASK, &previous_, nullptr); }
  interrupt_delay(const interrupt_delay&) = delete;
  interrupt_delay& operator=(const interrupt_delay&) = delete;

 private:
  sigset_t previous_{};
};

bool is_of_device(const ordered_json& entry, const device_description& where) {
  const ordered_json device = entry.value("device", ordered_json::object());
  return entry.value("backend", "") == where.backend && device.value("name", "") == where.name &&
         device.value("arch", "") == where.arch && device.value("num_multiprocessors", -1) == where.num_multiprocessors;
}

}  // namespace

ordered_json other_entries(const std::string& path, const device_description& where) {
  const fs::path folder = fs::path(path).parent_path();
  if (!folder.empty() && !fs::is_directory(folder)) {
    throw usage_error(fmt::format("--out={}: the folder {} does not exist", path, folder.string()));
  }
  ordered_json others = ordered_json::array();
  if (!fs::exists(path)) return others;
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const ordered_json document = ordered_json::parse(text, nullptr, false);
  if (!document.is_object() || document.value("schema", "") != kSchema) {
    throw usage_error(fmt::format("--out={} is there and not a tuning file: it is not overwritten", path));
  }
  if (document.value("version", "") != nsameta_version_string()) return others;
  for (const auto& entry : document.value("entries", ordered_json::array())) {
    if (!is_of_device(entry, where)) others.push_back(entry);
  }
  return others;
}

void write_tuning_file(const std::string& path, const ordered_json& entries) {
  const ordered_json document = {
      {"schema", kSchema}, {"version", nsameta_version_string()}, {"date", utc_now()}, {"entries", entries}};
  const interrupt_delay until_written;
  const std::string temporary = fmt::format("{}.{}.tmp", path, getpid());
  std::ofstream file(temporary);
  file << document.dump(2) << '\n' << std::flush;
  file.close();
  std::error_code error;
  if (file) fs::rename(temporary, path, error);
  if (!file || error) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw std::runtime_error(fmt::format("--out={}: cannot be written", path));
  }
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace nsameta::cli
