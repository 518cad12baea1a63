// Request traces: what arrived when, how long the prompt was, how much was generated.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nsameta::cli {

// Tokens of one prefix block of the Mooncake format: equal hash ids mean equal prompts up to the end of that block.
inline constexpr int32_t kPrefixBlockTokens = 512;
// Longest prompt or output that a line may ask for.
inline constexpr int64_t kMaxLength = int64_t{1} << 24;

enum class trace_format { auto_detect, mooncake, azure };

struct request {
  int64_t arrival_us;  // since the first request
  int32_t input_length;
  int32_t output_length;
  uint32_t first_hash;  // into trace::hashes
  uint32_t num_hashes;
};

struct bad_line {
  int64_t line_number;
  std::string reason;
};

struct trace {
  std::string name;               // file, or "synthetic"
  std::vector<request> requests;  // by arrival
  std::vector<int32_t> hashes;    // the ids of the file, renumbered from 0
  int32_t num_distinct_hashes = 0;
  std::vector<bad_line> bad_lines;  // the first kMaxBadLinesKept
  int64_t num_bad_lines = 0;
};

inline constexpr size_t kMaxBadLinesKept = 10;

// Fed line by line; a line that does not parse is counted and skipped.
class trace_parser {
 public:
  trace_parser(std::string name, trace_format format);

  void add_line(std::string_view line);
  // Sorts by arrival, and counts time from the first request.
  trace finish();

 private:
  void parse_mooncake(std::string_view line);
  void parse_azure(std::string_view line);
  void detect(std::string_view line);

  trace trace_;
  trace_format format_;
  int64_t line_number_ = 0;
  bool saw_content_ = false;
  std::unordered_map<int64_t, int32_t> dense_hash_;
};

// Throws usage_error when the file cannot be read, holds no request, or has no recognisable format.
trace read_trace(const std::string& path, trace_format format);

}  // namespace nsameta::cli
