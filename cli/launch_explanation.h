// The text of nsameta_plan_explain, taken apart.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace nsameta::cli {

// "rule: batch 32 <= 256 (step_requests 256): yes"
struct explained_rule {
  std::string what;
  int64_t value;
  std::string comparison;
  int64_t limit;
  std::string tunable;
  int64_t tunable_value;
  bool holds;
};

struct launch_explanation {
  std::string backend;
  std::vector<explained_rule> rules;
  std::vector<std::pair<std::string, bool>> facts;
  std::vector<std::pair<std::string, int64_t>> uses;        // tunables that sizes were computed with
  std::vector<std::pair<std::string, std::string>> launch;  // all other lines: what was chosen
  std::vector<std::string> lines;                           // all of them
};

launch_explanation parse_explanation(const std::string& text);
nlohmann::ordered_json to_json(const launch_explanation& explanation);

}  // namespace nsameta::cli
