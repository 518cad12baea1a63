// Files of NSAMETA_TUNING: each kind of bad one has its message, which names file, field, value and what it must be.
#include "dispatch/tuning.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "backends/cpu/backend.h"
#include "core/status.h"
#include "core/text_writer.h"

namespace nsameta::dispatch {
namespace {

nsameta_device_info this_device() {
  nsameta_device_info device{};
  std::strcpy(device.name, "a CPU");
  std::strcpy(device.arch, "x86-64");
  device.num_multiprocessors = 8;
  return device;
}

std::string entry(const std::string& values, const std::string& backend = "cpu", const std::string& name = "a CPU",
                  const std::string& arch = "x86-64", int num = 8) {
  return R"({"backend": ")" + backend + R"(", "device": {"name": ")" + name + R"(", "arch": ")" + arch +
         R"(", "num_multiprocessors": )" + std::to_string(num) + R"(}, "values": )" + values + "}";
}

std::string document(const std::string& entries) {
  return R"({"schema": "nsameta-tuning-1", "version": "0.1.0", "date": "today", "entries": [)" + entries + "]}";
}

constexpr const char* kGood = R"({"min_parallel_bytes": 4096, "num_ranges_per_thread": 8})";

std::string error_of(const std::string& text) { return parse_tuning("f.json", text).error; }

// The message of an entry that does not fit; "" when it does.
std::string refusal_of(const std::string& entries) {
  const tuning_file file = parse_tuning("f.json", document(entries));
  EXPECT_EQ(file.error, "");
  const tuning_entry* found = nullptr;
  const auto status = find_tuning(file, *nsameta_cpu_backend(), this_device(), &found);
  return status == NSAMETA_OK ? "" : last_error_message();
}

TEST(tuning, a_good_file_is_found_and_applied) {
  const tuning_file file = parse_tuning("f.json", document(entry("{}", "cuda", "GPU", "sm_90", 132) + "," +
                                                           entry(kGood, "cpu", "other") + "," + entry(kGood)));
  ASSERT_EQ(file.error, "");
  const tuning_entry* found = nullptr;
  ASSERT_EQ(find_tuning(file, *nsameta_cpu_backend(), this_device(), &found), NSAMETA_OK) << last_error_message();
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->place, "entries[2]");
  EXPECT_EQ(found->values.size(), 2U);
}

TEST(tuning, a_file_for_another_backend_is_no_error) {
  const tuning_file file = parse_tuning("f.json", document(entry(R"({"no_such": 1})", "cuda")));
  const tuning_entry* found = nullptr;
  EXPECT_EQ(find_tuning(file, *nsameta_cpu_backend(), this_device(), &found), NSAMETA_OK);
  EXPECT_EQ(found, nullptr);
  EXPECT_EQ(find_tuning({}, *nsameta_cpu_backend(), this_device(), &found), NSAMETA_OK);
  EXPECT_EQ(found, nullptr);
}

TEST(tuning, what_is_no_tuning_file_is_refused) {
  EXPECT_EQ(error_of("{").rfind("NSAMETA_TUNING=f.json: is not JSON: ", 0), 0U) << error_of("{");
  EXPECT_EQ(error_of("[]"), "NSAMETA_TUNING=f.json: the file must be an object");
  EXPECT_EQ(error_of("{}"), "NSAMETA_TUNING=f.json: schema is missing");
  EXPECT_EQ(error_of(R"({"schema": 1})"), "NSAMETA_TUNING=f.json: schema=1 must be a string");
  EXPECT_EQ(error_of(R"({"schema": "other"})"), "NSAMETA_TUNING=f.json: schema=\"other\" must be \"nsameta-tuning-1\"");
  EXPECT_EQ(
      error_of(R"({"schema": "nsameta-tuning-1", "version": "0.0.9", "entries": []})"),
      "NSAMETA_TUNING=f.json: version=\"0.0.9\" must be \"0.1.0\", that of this library: run `nsameta tune` again");
  EXPECT_EQ(error_of(R"({"schema": "nsameta-tuning-1", "version": "0.1.0", "entries": 3})"),
            "NSAMETA_TUNING=f.json: entries must be a list");
  EXPECT_EQ(error_of(document("7")), "NSAMETA_TUNING=f.json: entries[0] must be an object");
  EXPECT_EQ(error_of(document(R"({"backend": "cpu"})")), "NSAMETA_TUNING=f.json: entries[0].device is missing");
  EXPECT_EQ(error_of(document(entry("4"))), "NSAMETA_TUNING=f.json: entries[0].values must be an object");
  EXPECT_EQ(error_of(document(entry(R"({"min_parallel_bytes": 1.5})"))),
            "NSAMETA_TUNING=f.json: entries[0].values.min_parallel_bytes=1.5 must be an integer");
  EXPECT_EQ(error_of(document(entry(R"({"min_parallel_bytes": "1"})"))),
            "NSAMETA_TUNING=f.json: entries[0].values.min_parallel_bytes=\"1\" must be an integer");
}

TEST(tuning, a_file_that_cannot_be_read_is_refused) {
  EXPECT_EQ(read_tuning("no/such/file").error,
            "NSAMETA_TUNING=no/such/file: cannot be read: No such file or directory");
  EXPECT_EQ(read_tuning("").error, "");
  const auto path = std::filesystem::temp_directory_path() / ("nsameta_tuning_test." + std::to_string(getpid()));
  std::ofstream(path) << document(entry(kGood));
  EXPECT_EQ(read_tuning(path.string()).entries.size(), 1U);
  std::filesystem::remove(path);
}

TEST(tuning, another_device_is_refused) {
  const std::string begin = "NSAMETA_TUNING=f.json: entries[0].device.";
  const std::string end = ", that of this device of backend cpu";
  EXPECT_EQ(refusal_of(entry(kGood, "cpu", "other")), begin + "name=\"other\" must be \"a CPU\"" + end);
  EXPECT_EQ(refusal_of(entry(kGood, "cpu", "a CPU", "arm")), begin + "arch=\"arm\" must be \"x86-64\"" + end);
  EXPECT_EQ(refusal_of(entry(kGood, "cpu", "a CPU", "x86-64", 4)), begin + "num_multiprocessors=4 must be 8" + end);
}

TEST(tuning, bad_values_are_refused) {
  const std::string begin = "NSAMETA_TUNING=f.json: entries[0].values.";
  EXPECT_EQ(refusal_of(entry(R"({"no_such": 1})")), begin + "no_such is not a tunable of backend cpu");
  EXPECT_EQ(refusal_of(entry(R"({"num_ranges_per_thread": 0})")),
            begin + "num_ranges_per_thread=0 must be in [1, 256]");
  EXPECT_EQ(refusal_of(entry(R"({"num_ranges_per_thread": 257})")),
            begin + "num_ranges_per_thread=257 must be in [1, 256]");
}

// Rows of docs/TUNING.md: what the lists say, word for word.
void expect_documented(const std::string& name, const std::string& value, const std::string& range,
                       const std::string& decides, const std::string& measured) {
  static const std::string page = [] {
    std::ifstream file(NSAMETA_TUNING_PAGE);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  const std::string row = "| `" + name + "` | " + value + " | " + range;
  const size_t at = page.find("\n" + row);
  ASSERT_NE(at, std::string::npos) << "docs/TUNING.md has no row that begins with " << row;
  const std::string line = page.substr(at + 1, page.find('\n', at + 1) - at - 1);
  const std::string end = "| " + decides + " | " + measured + " |";
  EXPECT_TRUE(line.ends_with(end)) << line << "\nmust end with\n" << end;
}

TEST(tuning, every_tunable_is_documented) {
#define NSAMETA_TUNABLE(op, name, value, least, most, decides, measured)                                              \
  expect_documented(#name, std::to_string(value), std::to_string(least) + ".." + std::to_string(most) + " ", decides, \
                    measured);
#include "backends/simt/tunables.def"
#undef NSAMETA_TUNABLE
  const auto default_of = [](const std::string& name) {
    for (int32_t i = 0; i < nsameta_cpu_backend()->num_tunables(); ++i) {
      nsameta_tunable tunable{};
      nsameta_cpu_backend()->get_tunable(nullptr, i, &tunable);
      if (name == tunable.name) return tunable.default_value;
    }
    return int64_t{-1};
  };
  const auto text_of = [&](const std::string& name) {
    const bool is_of_machine = name == "min_stream_bytes" || name == "min_all_nodes_bytes";
    return is_of_machine ? "last level cache" : std::to_string(default_of(name));
  };
#define NSAMETA_TUNABLE(field, least, most, decides, measured) \
  expect_documented(#field, text_of(#field), std::to_string(least) + "..", decides, measured);
#include "backends/cpu/tunables.def"
#undef NSAMETA_TUNABLE
}

TEST(text_writer, counts_what_does_not_fit) {
  char text[8] = "garbage";
  text_writer writer(text, sizeof(text));
  writer.line("%d", 12345);
  EXPECT_STREQ(text, "12345\n");
  writer.line("more");
  EXPECT_STREQ(text, "12345\nm");
  EXPECT_EQ(writer.needed(), 12U);
  text_writer none(nullptr, 0);
  none.line("more");
  EXPECT_EQ(none.needed(), 6U);
}

}  // namespace
}  // namespace nsameta::dispatch
