// What a replay found, for people and for programs.
#pragma once

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/replay.h"

namespace nsameta::cli {

struct replay_report {
  const trace* requests;
  const session* where;
  const replay_options* options;
  const replay_result* result;
};

void print_table(const replay_report& report, std::FILE* out);
nlohmann::ordered_json to_json(const replay_report& report);

}  // namespace nsameta::cli
