// What `nsameta explain` shows.
#pragma once

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/explain.h"

namespace nsameta::cli {

struct explain_report {
  const explain_case* input;
  const explanation* result;
  const session* where;
};

void print_explanation(const explain_report& report, std::FILE* out);
nlohmann::ordered_json to_json(const explain_report& report);

}  // namespace nsameta::cli
