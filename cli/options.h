// Options of the subcommands that are checked as they are read.
#pragma once

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace nsameta::cli {

// An option that takes one of some words, the first of which is the default that `value` holds already.
template <typename Value>
CLI::Option* add_choice(CLI::App* app, const char* name, Value& value,
                        const std::vector<std::pair<std::string, Value>>& choices, const std::string& help) {
  std::string names;
  for (const auto& choice : choices) names += (names.empty() ? "" : "|") + choice.first;
  const std::map<std::string, Value> by_name(choices.begin(), choices.end());
  const auto check = [by_name, names](const std::string& word) {
    return by_name.count(word) > 0 ? std::string() : fmt::format("'{}' must be one of {}", word, names);
  };
  const auto set = [by_name, &value](const std::string& word) { value = by_name.at(word); };
  return app->add_option_function<std::string>(name, set, help)
      ->type_name(names)
      ->default_str(choices.front().first)
      ->check(check, "");
}

template <typename Value>
CLI::Option* add_number(CLI::App* app, const char* name, Value& value, Value low, Value high, const std::string& help) {
  const auto check = [low, high](std::string& text) {
    Value parsed{};
    if (!CLI::detail::lexical_cast(text, parsed)) return fmt::format("'{}' must be a number", text);
    if (parsed >= low && parsed <= high) return std::string();
    return fmt::format("{} must be in [{}, {}]", text, low, high);
  };
  return app->add_option(name, value, help)->type_name("N")->check(CLI::Validator(check, ""));
}

}  // namespace nsameta::cli
