// Every way in which a backend's file can be wrong, each as a real file.
#include "dispatch/registry.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "dispatch/plugin.h"

namespace nsameta::dispatch {
namespace {

namespace fs = std::filesystem;

std::string plugin_folder(const std::string& name) { return std::string(NSAMETA_PLUGIN_ROOT) + "/" + name; }
std::string plugin_file(const std::string& name) { return plugin_folder(name) + "/libnsameta_" + name + ".so"; }

// An empty folder that goes away with the test.
class temporary_folder {
 public:
  temporary_folder() {
    std::string pattern = (fs::temp_directory_path() / "nsameta_test_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~temporary_folder() { fs::remove_all(path_); }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// The entry of `name` in a registry of one plugin folder; the CPU must work beside it, whatever happens.
backend_entry load_from(const std::string& folder, const std::string& name) {
  const registry all = load_registry(make_search_path("", folder));
  EXPECT_NE(all.find("cpu"), nullptr);
  EXPECT_TRUE(all.find("cpu")->usable()) << all.find("cpu")->reason;
  const backend_entry* entry = all.find(name);
  if (entry == nullptr) ADD_FAILURE() << name << " is not in the list";
  return entry == nullptr ? backend_entry{} : *entry;
}

void expect_refused(const backend_entry& entry, const std::string& reason) {
  EXPECT_FALSE(entry.usable());
  EXPECT_EQ(entry.num_devices, 0);
  EXPECT_EQ(entry.reason, reason);
}

TEST(registry, good_plugin) {
  const backend_entry entry = load_from(plugin_folder("good"), "good");
  EXPECT_TRUE(entry.usable());
  EXPECT_EQ(entry.reason, "");
  EXPECT_EQ(entry.path, fs::canonical(plugin_file("good")).string());
  EXPECT_EQ(entry.priority, 500);
  EXPECT_EQ(entry.num_devices, 1);
  EXPECT_TRUE(entry.accepts(NSAMETA_DEVICE_CPU));
  EXPECT_FALSE(entry.accepts(NSAMETA_DEVICE_CUDA));
}

TEST(registry, refusals_have_reasons) {
  const struct {
    const char* name;
    std::string reason;
  } cases[] = {
      {"wrong_abi",
       "has backend ABI version 4711, but this library needs version " + std::to_string(NSAMETA_BACKEND_ABI_VERSION)},
      {"wrong_size", "has a table of 24 bytes, but this library needs " + std::to_string(sizeof(nsameta_backend))},
      {"probe_fails", "driver 1.2 is older than 3.4"},
      {"no_device", "no device"},
      {"throws_entry", "threw an exception in nsameta_backend_entry: entry refused"},
      {"throws_probe", "threw an exception in its probe"},
      {"no_slot", "lacks the function copy_to_host"},
      {"half_tunables", "lacks the function get_tunable"},
      {"no_memory", "num_device_types=0 must be in [1, 4]"},
      {"other_name", "calls itself \"impostor\", but its file name says \"other_name\""},
      {"no_entry", fs::canonical(plugin_file("no_entry")).string() + " has no function nsameta_backend_entry"},
      {"null_entry", "nsameta_backend_entry returned NULL"},
      {"needs_runtime",
       "cannot be loaded: libnsameta_absent_runtime.so: cannot open shared object file: No such file or directory"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    expect_refused(load_from(plugin_folder(c.name), c.name), c.reason);
  }
}

// The one test that loads this plugin: the system's loader runs static initialisers once, and takes the library for a
// good one after that.
TEST(registry, loading_goes_on_after_a_plugin_that_throws) {
  expect_refused(load_from(plugin_folder("throws_loading"), "throws_loading"),
                 "threw an exception while loading: no licence file; other threads may hang when they load a library: "
                 "remove the file and restart");
  EXPECT_TRUE(load_from(plugin_folder("good"), "good").usable());
}

TEST(registry, missing_op_keeps_the_backend_usable) {
  const backend_entry entry = load_from(plugin_folder("no_op"), "no_op");
  EXPECT_TRUE(entry.usable()) << entry.reason;
  EXPECT_EQ(entry.table->build_metadata, nullptr);
}

TEST(registry, files_that_are_no_libraries) {
  const temporary_folder folder;
  std::ofstream(folder.path() / "libnsameta_text.so") << std::string(1000, '?');
  std::ofstream(folder.path() / "libnsameta_empty.so") << "";
  fs::create_symlink(folder.path() / "nowhere", folder.path() / "libnsameta_dangling.so");
  fs::copy_file(plugin_file("good"), folder.path() / "libnsameta_truncated.so");
  fs::resize_file(folder.path() / "libnsameta_truncated.so", 1000);
  const registry all = load_registry(make_search_path("", folder.path().string()));
  const auto reason = [&](const char* name) { return all.find(name) == nullptr ? "" : all.find(name)->reason; };
  EXPECT_NE(reason("text").find("invalid ELF header"), std::string::npos) << reason("text");
  EXPECT_NE(reason("empty").find("file too short"), std::string::npos) << reason("empty");
  EXPECT_NE(reason("dangling").find("No such file"), std::string::npos) << reason("dangling");
  EXPECT_EQ(reason("truncated").rfind("is truncated: ", 0), 0U) << reason("truncated");
  EXPECT_TRUE(all.find("cpu")->usable());
}

TEST(registry, a_plugin_cut_at_any_length_is_refused) {
  const temporary_folder folder;
  const fs::path file = folder.path() / "libnsameta_good.so";
  const auto size = fs::file_size(plugin_file("good"));
  for (auto bytes = size / 16; bytes < size; bytes += size / 16) {
    fs::remove(file);
    fs::copy_file(plugin_file("good"), file);
    fs::resize_file(file, bytes);
    const backend_entry entry = load_from(folder.path().string(), "good");
    EXPECT_TRUE(entry.usable() || !entry.reason.empty()) << bytes << " of " << size << " bytes";
  }
}

TEST(registry, other_files_are_no_candidates) {
  for (const char* name : {"libnsameta.so", "libnsameta_.so", "libnsameta_cuda.so.1", "libnsameta_cuda.1.so",
                           "nsameta_cuda.so", "libnsameta_cuda.a", "xlibnsameta_cuda.so", ""}) {
    EXPECT_EQ(plugin_name(name), "") << name;
  }
  EXPECT_EQ(plugin_name("libnsameta_cuda.so"), "cuda");
  const temporary_folder folder;
  fs::create_directory(folder.path() / "libnsameta_folder.so");
  EXPECT_EQ(load_registry(make_search_path("", folder.path().string())).find("folder"), nullptr);
}

TEST(registry, known_names_appear_without_a_file) {
  const temporary_folder first;
  const temporary_folder second;
  const registry all = load_registry(make_search_path(first.path().string(), second.path().string()));
  ASSERT_EQ(all.backends.size(), 3U);
  const std::string folders = first.path().string() + ", " + second.path().string();
  EXPECT_EQ(all.backends[0].name, "cuda");
  EXPECT_EQ(all.backends[0].reason, "libnsameta_cuda.so was not found in " + folders);
  EXPECT_EQ(all.backends[1].name, "hip");
  EXPECT_EQ(all.backends[1].reason, "libnsameta_hip.so was not found in " + folders);
  EXPECT_EQ(all.backends[2].name, "cpu");
}

TEST(registry, order_is_by_priority) {
  const registry all = load_registry(make_search_path("", plugin_folder("good")));
  std::vector<std::string> names;
  for (const auto& entry : all.backends) names.push_back(entry.name);
  EXPECT_EQ(names, (std::vector<std::string>{"good", "cuda", "hip", "cpu"}));
}

TEST(registry, the_first_of_a_name_wins) {
  const temporary_folder first;
  fs::create_symlink(plugin_file("good"), first.path() / "libnsameta_good.so");
  fs::create_symlink(plugin_file("good"), first.path() / "libnsameta_cpu.so");
  const registry all = load_registry(make_search_path(first.path().string(), plugin_folder("good")));
  std::string lines;
  for (const registry_note& note : all.notes) lines += note.text + "\n";
  EXPECT_EQ(all.find("good")->path, (first.path() / "libnsameta_good.so").string());
  EXPECT_EQ(all.find("cpu")->path, "");
  EXPECT_NE(lines.find("libnsameta_cpu.so ignored: backend cpu is already built in"), std::string::npos) << lines;
  EXPECT_NE(lines.find("libnsameta_good.so ignored: backend good is already there from " + first.path().string()),
            std::string::npos)
      << lines;
}

TEST(registry, search_path) {
  EXPECT_EQ(make_search_path("/lib", "").folders, std::vector<std::string>{"/lib"});
  EXPECT_EQ(make_search_path("/lib", "plugins").folders, std::vector<std::string>{"/lib"});
  EXPECT_EQ(make_search_path("/lib", "plugins").complaint,
            "NSAMETA_BACKEND_DIR=plugins is ignored: it must be an absolute path");
  EXPECT_EQ(make_search_path("/lib", ".").folders, std::vector<std::string>{"/lib"});
  EXPECT_EQ(make_search_path("/lib", "/does/not/exist").complaint,
            "NSAMETA_BACKEND_DIR=/does/not/exist cannot be searched: No such file or directory");
  const temporary_folder folder;
  const std::string path = folder.path().string();
  EXPECT_EQ(make_search_path("/lib", path).folders, (std::vector<std::string>{"/lib", path}));
  EXPECT_EQ(make_search_path(path, path + "/.").folders, std::vector<std::string>{path});
}

}  // namespace
}  // namespace nsameta::dispatch
