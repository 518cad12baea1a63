#include "cli/launch_explanation.h"

#include <sstream>
#include <stdexcept>

namespace nsameta::cli {
namespace {

explained_rule parse_rule(const std::string& text) {
  explained_rule rule;
  std::string answer;
  std::istringstream words(text);
  words >> rule.what >> rule.value >> rule.comparison >> rule.limit >> rule.tunable >> rule.tunable_value >> answer;
  if (!words || rule.tunable.front() != '(' || words.rdbuf()->in_avail() == 0) {
    throw std::runtime_error("the library explained a rule as \"" + text + '"');
  }
  rule.tunable.erase(0, 1);
  words >> answer;
  rule.holds = answer == "yes";
  return rule;
}

}  // namespace

launch_explanation parse_explanation(const std::string& text) {
  launch_explanation parsed;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    parsed.lines.push_back(line);
    const size_t colon = line.find(": ");
    const std::string key = line.substr(0, colon);
    const std::string value = colon == std::string::npos ? "" : line.substr(colon + 2);
    if (key == "backend") {
      parsed.backend = value;
    } else if (key == "rule") {
      parsed.rules.push_back(parse_rule(value));
    } else if (key == "fact") {
      const size_t end = value.find(": ");
      parsed.facts.emplace_back(value.substr(0, end), value.substr(end + 2) == "yes");
    } else if (key == "uses") {
      const size_t end = value.find(' ');
      parsed.uses.emplace_back(value.substr(0, end), std::stoll(value.substr(end)));
    } else {
      parsed.launch.emplace_back(key, value);
    }
  }
  return parsed;
}

nlohmann::ordered_json to_json(const launch_explanation& explanation) {
  using nlohmann::ordered_json;
  ordered_json out = {
      {"backend", explanation.backend}, {"launch", ordered_json::object()}, {"rules", ordered_json::array()}};
  for (const auto& [key, value] : explanation.launch) out["launch"][key] = value;
  for (const auto& rule : explanation.rules) {
    out["rules"].push_back({{"what", rule.what},
                            {"value", rule.value},
                            {"comparison", rule.comparison},
                            {"limit", rule.limit},
                            {"tunable", rule.tunable},
                            {"tunable_value", rule.tunable_value},
                            {"holds", rule.holds}});
  }
  out["facts"] = ordered_json::object();
  for (const auto& [name, holds] : explanation.facts) out["facts"][name] = holds;
  out["uses"] = ordered_json::object();
  for (const auto& [name, value] : explanation.uses) out["uses"][name] = value;
  return out;
}

}  // namespace nsameta::cli
