// The cases that are measured: bench/cases.json with its shapes spelt out. bench/peers/cases.py reads the same file,
// and draws the same lengths.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nsameta/nsameta.h"

namespace nsameta::bench {

// What all cases have in common.
struct case_settings {
  int64_t table_width;  // columns of req_to_token and of page_table_1
  int32_t page_size;
  int32_t topk;
  int32_t num_sms;  // of the schedule
};

struct bench_case {
  std::string name;   // "<group>/b32_c4K"
  std::string group;  // cases that differ in their shape alone
  nsameta_op op = NSAMETA_OP_BUILD_METADATA;
  int32_t mode = NSAMETA_MODE_DECODE;
  int32_t batch = 1;
  // How long the keys are: uniform in [context / 2, context), or prefix + q, or q + uniform in [0, spread).
  int64_t context = 0;
  int64_t prefix = -1;
  int64_t spread = 0;
  int64_t long_context = 0;  // of one request, if not 0
  // Query tokens of a request: uniform in [min_q, max_q].
  int32_t min_q = 1;
  int32_t max_q = 1;
  int32_t long_q = 0;           // of the first request, if not 0
  bool has_constant_q = false;  // the host knows q, which all requests share
  bool is_clamped = false;      // as it is after defaults
  int32_t kpool = 1;
  std::vector<std::string> outputs;
  // Of copy_metadata, map_topk_to_slots and mla_schedule.
  int32_t num_destinations = 0;
  bool has_pages = false;
  std::string table;
  int32_t num_parts = 0;
  int32_t sparse_topk = 0;
};

const case_settings& settings();
// In the order of the file. Throws when the file makes no sense.
std::vector<bench_case> all_cases();

std::vector<int64_t> query_lens(const bench_case& c);
// What the operation is given; target_verify adds q to it.
std::vector<int64_t> seq_lens(const bench_case& c, const std::vector<int64_t>& query_lens);

// A number in [low, high) that depends on its place alone; `salt` tells lists apart.
int64_t scattered(int64_t low, int64_t high, uint32_t place, uint32_t salt);

}  // namespace nsameta::bench
