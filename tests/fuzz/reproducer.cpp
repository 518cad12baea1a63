#include "tests/fuzz/reproducer.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

namespace nsameta::fuzz {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

nsameta_op op_of(const std::string& name) {
  const auto* found = std::find(std::begin(kOpNames), std::end(kOpNames), name);
  if (found == std::end(kOpNames)) throw std::runtime_error(fmt::format("'{}' is no operation", name));
  return static_cast<nsameta_op>(found - std::begin(kOpNames));
}

}  // namespace

std::vector<nsameta_op> all_ops() {
  std::vector<nsameta_op> ops;
  for (int op = 0; op < kNumOps; ++op) ops.push_back(static_cast<nsameta_op>(op));
  return ops;
}

fuzz_case draw(const origin& from) {
  if (from.bytes.empty()) {
    test::random_source random(from.seed, from.case_idx);
    return draw(random, from.ops);
  }
  test::random_source random(from.bytes.data(), from.bytes.size());
  return draw(random, from.ops);
}

std::string write_reproducer(const std::string& folder, const origin& from, const std::string& failure) {
  const auto drawn = draw(from);
  std::ostringstream words;
  words << drawn;
  nlohmann::ordered_json json;
  json["nsameta_fuzz"] = nsameta_version_string();
  json["op"] = kOpNames[drawn.op()];
  if (from.bytes.empty()) {
    json["seed"] = from.seed;
    json["case"] = from.case_idx;
  } else {
    json["bytes"] = from.bytes;
  }
  for (const auto op : from.ops) json["ops"].push_back(kOpNames[op]);
  json["failure"] = lines_of(failure);
  json["in_words"] = lines_of(words.str());
  const std::string bytes(from.bytes.begin(), from.bytes.end());
  const auto name = bytes.empty() ? fmt::format("{}_{}", from.seed, from.case_idx)
                                  : fmt::format("bytes_{:016x}", std::hash<std::string>()(bytes));
  const auto path = fmt::format("{}/nsameta_fuzz_{}_{}.json", folder, kOpNames[drawn.op()], name);
  std::ofstream file(path);
  file << json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n" << std::flush;
  if (!file) throw std::runtime_error(fmt::format("{}: cannot be written", path));
  return path;
}

origin read_reproducer(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file || content.empty()) throw std::runtime_error(fmt::format("{}: cannot be read, or is empty", path));
  origin from{.ops = all_ops()};
  const auto json = nlohmann::json::parse(content, nullptr, false);
  if (!json.is_object() || !json.contains("nsameta_fuzz")) {
    from.bytes.assign(content.begin(), content.end());
    return from;
  }
  try {
    from.ops.clear();
    for (const auto& name : json.at("ops")) from.ops.push_back(op_of(name.get<std::string>()));
    if (from.ops.empty()) throw std::runtime_error("names no operation");
    if (json.contains("bytes")) {
      from.bytes = json.at("bytes").get<std::vector<uint8_t>>();
    } else {
      from.seed = json.at("seed").get<uint64_t>();
      from.case_idx = json.at("case").get<uint64_t>();
    }
  } catch (const std::exception& e) {
    throw std::runtime_error(fmt::format("{}: {}", path, e.what()));
  }
  return from;
}

}  // namespace nsameta::fuzz
