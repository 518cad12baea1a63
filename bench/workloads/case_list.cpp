#include "bench/workloads/case_list.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "bench/cases_json.h"

namespace nsameta::bench {
namespace {

using nlohmann::json;

const json& document() {
  static const json parsed = json::parse(kCasesJson);
  return parsed;
}

nsameta_op op_of(const std::string& name) {
  if (name == "build_metadata") return NSAMETA_OP_BUILD_METADATA;
  if (name == "copy_metadata") return NSAMETA_OP_COPY_METADATA;
  if (name == "map_topk_to_slots") return NSAMETA_OP_MAP_TOPK_TO_SLOTS;
  if (name == "mla_schedule") return NSAMETA_OP_MLA_SCHEDULE;
  throw std::invalid_argument(fmt::format("cases.json: op={} is no operation", name));
}

int32_t mode_of(const std::string& name) {
  if (name == "decode") return NSAMETA_MODE_DECODE;
  if (name == "target_verify") return NSAMETA_MODE_TARGET_VERIFY;
  if (name == "draft_extend") return NSAMETA_MODE_DRAFT_EXTEND;
  if (name == "extend") return NSAMETA_MODE_EXTEND;
  throw std::invalid_argument(fmt::format("cases.json: mode={} is no mode", name));
}

std::string count_text(int64_t count) {
  return count > 0 && count % 1024 == 0 ? fmt::format("{}K", count / 1024) : fmt::format("{}", count);
}

std::string name_of(const bench_case& c, bool names_q) {
  std::string name = fmt::format("{}/b{}", c.group, c.batch);
  if (c.context > 0) name += "_c" + count_text(c.context);
  if (c.long_context > 0) name += "_long" + count_text(c.long_context);
  if (c.prefix >= 0) name += "_p" + count_text(c.prefix);
  if (names_q) name += fmt::format("_q{}", c.max_q);
  return name;
}

// What a group and a shape say; the shape comes second and may say it again.
bench_case make_case(const json& group, const json& shape) {
  bench_case c;
  c.group = group.at("group");
  c.op = op_of(group.value("op", "build_metadata"));
  c.mode = mode_of(group.value("mode", "decode"));
  if (group.contains("q")) {
    c.min_q = group.at("q").at(0);
    c.max_q = group.at("q").at(1);
  }
  c.kpool = group.value("kpool", 1);
  c.is_clamped = c.mode == NSAMETA_MODE_DRAFT_EXTEND && group.value("clamp", true);
  c.has_constant_q =
      group.value("constant_q", false) || c.mode == NSAMETA_MODE_DECODE || c.mode == NSAMETA_MODE_TARGET_VERIFY;
  if (group.contains("outputs")) document().at("outputs").at(group.at("outputs")).get_to(c.outputs);
  c.num_destinations = group.value("num_destinations", 0);
  c.has_pages = group.value("has_pages", false);
  c.table = group.value("table", "");
  c.num_parts = group.value("num_parts", 0);
  c.sparse_topk = group.value("sparse_topk", 0);

  c.batch = shape.at("batch");
  c.context = shape.value("context", 0);
  c.prefix = shape.value("prefix", -1);
  c.spread = shape.value("spread", 0);
  c.long_context = shape.value("long_context", 0);
  c.long_q = shape.value("long_q", 0);
  if (shape.contains("q")) c.min_q = c.max_q = shape.at("q");
  c.name = name_of(c, shape.contains("q"));
  return c;
}

}  // namespace

const case_settings& settings() {
  static const case_settings read{document().at("table_width"), document().at("page_size"), document().at("topk"),
                                  document().at("num_sms")};
  return read;
}

std::vector<bench_case> all_cases() {
  std::vector<bench_case> cases;
  for (const json& group : document().at("groups")) {
    const json& named = group.at("shapes");
    const json& shapes = named.is_string() ? document().at("shapes").at(named.get<std::string>()) : named;
    for (const json& shape : shapes) cases.push_back(make_case(group, shape));
  }
  return cases;
}

int64_t scattered(int64_t low, int64_t high, uint32_t place, uint32_t salt) {
  uint32_t bits = (place + 1) * 2654435761U + salt * 2246822519U;
  bits = (bits ^ (bits >> 15)) * 2246822507U;
  bits ^= bits >> 13;
  return low + static_cast<int64_t>(uint64_t{bits} * static_cast<uint64_t>(high - low) >> 32);
}

std::vector<int64_t> query_lens(const bench_case& c) {
  std::vector<int64_t> lens;
  for (int32_t r = 0; r < c.batch; ++r) {
    const bool is_long = r == 0 && c.long_q > 0;
    lens.push_back(is_long ? c.long_q : scattered(c.min_q, int64_t{c.max_q} + 1, static_cast<uint32_t>(r), 1));
  }
  return lens;
}

std::vector<int64_t> seq_lens(const bench_case& c, const std::vector<int64_t>& query_lens) {
  std::vector<int64_t> lens;
  for (int32_t r = 0; r < c.batch; ++r) {
    const auto place = static_cast<uint32_t>(r);
    const int64_t q = query_lens[place];
    if (c.long_context > 0) {
      lens.push_back(r == c.batch / 3 ? c.long_context : c.context);
    } else if (c.context > 0) {
      lens.push_back(scattered(c.context / 2, c.context, place, 2));
    } else if (c.prefix >= 0) {
      lens.push_back(c.prefix + q);
    } else {
      lens.push_back(q + scattered(0, c.spread, place, 2));
    }
  }
  return lens;
}

}  // namespace nsameta::bench
