// What bench_gpu prints, and the JSON that bench/report.py and bench/compare.py read.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "bench/gpu/measure.h"

namespace nsameta::bench {

struct run_info {
  std::string command;
  std::string date;  // UTC, to the second
  std::string device;
  std::string driver;
  int num_repetitions;
};

void print_header(const run_info& info, const baseline& limits, std::FILE* out);
void print_row(const row& r, std::FILE* out);
// Indented, with a line feed at its end.
std::string to_json(const run_info& info, const baseline& limits, const timer& on, const std::vector<row>& rows);

}  // namespace nsameta::bench
