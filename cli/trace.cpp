#include "cli/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/error.h"

namespace nsameta::cli {
namespace {

using nlohmann::json;

constexpr std::string_view kAzureHeader = "TIMESTAMP,ContextTokens,GeneratedTokens";
constexpr int64_t kMaxTimestampMs = int64_t{1} << 50;  // in microseconds still far from the end of int64

// Why a line was refused.
struct line_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

int64_t check_range(std::string_view name, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return value;
  throw line_error(fmt::format("{}={} must be in [{}, {}]", name, value, low, high));
}

const json& field_of(const json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end()) throw line_error(fmt::format("field {} is missing", name));
  return *it;
}

int64_t integer_of(const json& value, const char* name) {
  if (!value.is_number_integer() || (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX)) {
    throw line_error(fmt::format("{}={} must be an integer", name, value.dump(-1, ' ', true).substr(0, 40)));
  }
  return value.get<int64_t>();
}

json parse_json(std::string_view line) {
  try {
    return json::parse(line);
  } catch (const json::exception& e) {
    // "[json.exception.parse_error.101] parse error at line 1, column 9: ...": the id helps nobody, the line is ours.
    std::string_view what = e.what();
    if (const auto at = what.find("column "); at != std::string_view::npos) what.remove_prefix(at);
    throw line_error(fmt::format("not JSON: {}", what));
  }
}

int64_t parse_integer(std::string_view name, std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw line_error(fmt::format("{}='{}' must be an integer", name, text.substr(0, 40)));
  }
  return value;
}

// "2023-11-16 18:15:46.6805900" as microseconds since 1970.
int64_t parse_timestamp_us(std::string_view text) {
  const auto refuse = [&] {
    return line_error(fmt::format("TIMESTAMP='{}' must be YYYY-MM-DD hh:mm:ss[.fraction]", text.substr(0, 40)));
  };
  constexpr std::string_view kShape = "0000-00-00 00:00:00";
  if (text.size() < kShape.size()) throw refuse();
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  for (size_t i = 0; i < kShape.size(); ++i) {
    if (kShape[i] == '0' ? !is_digit(text[i]) : text[i] != kShape[i]) throw refuse();
  }
  const auto number = [&](size_t begin, size_t count) {
    int value = 0;
    for (const char c : text.substr(begin, count)) value = value * 10 + (c - '0');
    return value;
  };
  const std::chrono::year_month_day date{std::chrono::year{number(0, 4)},
                                         std::chrono::month{static_cast<unsigned>(number(5, 2))},
                                         std::chrono::day{static_cast<unsigned>(number(8, 2))}};
  const int hour = number(11, 2), minute = number(14, 2), second = number(17, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) throw refuse();
  int64_t us = 0;
  if (text.size() > kShape.size()) {
    const auto fraction = text.substr(kShape.size() + 1);
    if (text[kShape.size()] != '.' || fraction.empty() || !std::all_of(fraction.begin(), fraction.end(), is_digit)) {
      throw refuse();
    }
    for (size_t i = 0; i < 6; ++i) us = us * 10 + (i < fraction.size() ? fraction[i] - '0' : 0);
  }
  const int64_t days = std::chrono::sys_days{date}.time_since_epoch().count();
  return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1'000'000 + us;
}

std::string_view trim(std::string_view line) {
  constexpr std::string_view kBlank = " \t\r";
  const auto begin = line.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(kBlank) - begin + 1);
}

}  // namespace

trace_parser::trace_parser(std::string name, trace_format format) : format_(format) { trace_.name = std::move(name); }

void trace_parser::detect(std::string_view line) {
  if (line.front() == '{' || trace_.name.ends_with(".jsonl")) {
    format_ = trace_format::mooncake;
  } else if (line == kAzureHeader || trace_.name.ends_with(".csv")) {
    format_ = trace_format::azure;
  } else {
    throw usage_error(fmt::format(
        "{}: neither the Mooncake format (JSON objects) nor the Azure one (header {}); say which with --format",
        trace_.name, kAzureHeader));
  }
}

void trace_parser::add_line(std::string_view raw) {
  ++line_number_;
  if (line_number_ == 1 && raw.starts_with("\xEF\xBB\xBF")) raw.remove_prefix(3);
  const auto line = trim(raw);
  if (line.empty()) return;
  if (format_ == trace_format::auto_detect) detect(line);
  const bool is_first = !saw_content_;
  saw_content_ = true;
  if (is_first && format_ == trace_format::azure && line == kAzureHeader) return;
  try {
    format_ == trace_format::azure ? parse_azure(line) : parse_mooncake(line);
  } catch (const line_error& e) {
    if (trace_.bad_lines.size() < kMaxBadLinesKept) trace_.bad_lines.push_back({line_number_, e.what()});
    ++trace_.num_bad_lines;
  }
}

void trace_parser::parse_mooncake(std::string_view line) {
  const json object = parse_json(line);
  if (!object.is_object()) throw line_error("not a JSON object");
  const auto get = [&](const char* name, int64_t low, int64_t high) {
    return check_range(name, integer_of(field_of(object, name), name), low, high);
  };
  request r{};
  r.arrival_us = get("timestamp", 0, kMaxTimestampMs) * 1000;
  r.input_length = static_cast<int32_t>(get("input_length", 1, kMaxLength));
  r.output_length = static_cast<int32_t>(get("output_length", 0, kMaxLength));
  r.first_hash = static_cast<uint32_t>(trace_.hashes.size());
  if (const auto ids = object.find("hash_ids"); ids != object.end()) {
    if (!ids->is_array()) throw line_error("hash_ids must be an array");
    for (const auto& id : *ids) integer_of(id, "hash_ids[]");
    for (const auto& id : *ids) {
      const auto [it, is_new] = dense_hash_.try_emplace(id.get<int64_t>(), trace_.num_distinct_hashes);
      trace_.num_distinct_hashes += is_new;
      trace_.hashes.push_back(it->second);
    }
    r.num_hashes = static_cast<uint32_t>(ids->size());
  }
  trace_.requests.push_back(r);
}

void trace_parser::parse_azure(std::string_view line) {
  std::string_view columns[3];
  size_t num_columns = 0;
  for (size_t begin = 0; begin <= line.size();) {
    const auto end = std::min(line.find(',', begin), line.size());
    if (num_columns < std::size(columns)) columns[num_columns] = trim(line.substr(begin, end - begin));
    ++num_columns;
    begin = end + 1;
  }
  if (num_columns != std::size(columns)) throw line_error(fmt::format("{} columns, must be 3", num_columns));
  request r{};
  r.arrival_us = parse_timestamp_us(columns[0]);
  const auto get = [&](std::string_view name, std::string_view text, int64_t low) {
    return static_cast<int32_t>(check_range(name, parse_integer(name, text), low, kMaxLength));
  };
  r.input_length = get("ContextTokens", columns[1], 1);
  r.output_length = get("GeneratedTokens", columns[2], 0);
  trace_.requests.push_back(r);
}

trace trace_parser::finish() {
  auto& requests = trace_.requests;
  std::vector<std::pair<int64_t, size_t>> order;  // equal arrivals keep the order of the file
  order.reserve(requests.size());
  for (const auto& r : requests) order.emplace_back(r.arrival_us, order.size());
  std::sort(order.begin(), order.end());
  std::vector<request> sorted;
  sorted.reserve(requests.size());
  for (const auto& [arrival_us, idx] : order) {
    sorted.push_back(requests[idx]);
    sorted.back().arrival_us -= order.front().first;
  }
  requests = std::move(sorted);
  return std::move(trace_);
}

trace read_trace(const std::string& path, trace_format format) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) throw usage_error(fmt::format("{}: is a directory", path));
  std::ifstream file(path);
  if (!file) throw usage_error(fmt::format("{}: cannot be opened: {}", path, std::strerror(errno)));
  trace_parser parser(path, format);
  std::string line;
  while (std::getline(file, line)) parser.add_line(line);
  if (file.bad()) throw usage_error(fmt::format("{}: cannot be read: {}", path, std::strerror(errno)));
  trace result = parser.finish();
  if (result.requests.empty()) {
    std::string what = fmt::format("{}: holds no request", path);
    if (result.num_bad_lines > 0) {
      what += fmt::format(" that parses ({} bad lines; line {}: {})", result.num_bad_lines,
                          result.bad_lines.front().line_number, result.bad_lines.front().reason);
    }
    throw usage_error(what);
  }
  return result;
}

}  // namespace nsameta::cli
