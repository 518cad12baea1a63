#include "cli/device_choice.h"
#include "cli/explain_print.h"
#include "cli/replay.h"

namespace nsameta::cli {
namespace {

// Rows as arrays; null where nothing was written.
nlohmann::ordered_json cells_to_json(const built_output& output) {
  auto array = nlohmann::ordered_json::array();
  for (int64_t row = 0; row < output.num_rows; ++row) {
    auto cells = nlohmann::ordered_json::array();
    for (int64_t column = 0; column < output.width(); ++column) {
      const auto idx = static_cast<size_t>(row * output.width() + column);
      cells.push_back(output.is_written[idx] ? nlohmann::ordered_json(output.cells[idx]) : nlohmann::ordered_json());
    }
    array.push_back(output.num_columns == 0 ? cells.at(0) : cells);
  }
  return array;
}

}  // namespace

nlohmann::ordered_json to_json(const explain_report& report) {
  const auto& c = *report.input;
  const auto& e = *report.result;
  nlohmann::ordered_json json;
  json["mode"] = mode_name(c.mode);
  json["backend"] = report.where->backend();
  json["device"] = device_name(report.where->device());
  auto& inputs = json["inputs"];
  inputs["seq_lens"] = c.seq_lens;
  if (!c.extend_seq_lens.empty()) inputs["extend_seq_lens"] = c.extend_seq_lens;
  if (c.num_requests) inputs["num_requests"] = *c.num_requests;
  inputs["req_pool_indices"] = e.setting.pool_rows;
  inputs["req_to_token"] = nlohmann::ordered_json::array();
  for (int64_t row = 0; row < e.setting.num_pool_rows; ++row) {
    const auto first = e.setting.req_to_token.begin() + row * e.setting.max_context;
    inputs["req_to_token"].push_back(std::vector<int32_t>(first, first + e.setting.max_context));
  }
  json["kv"] = e.setting.kv;
  json["q"] = e.setting.q;
  json["start"] = e.setting.start;
  json["outputs"] = nlohmann::ordered_json::object();
  for (const auto& output : e.outputs) json["outputs"][output.name] = cells_to_json(output);
  json["fault"] = nullptr;
  if (e.fault.check != NSAMETA_CHECK_NONE) {
    json["fault"] = {{"check", check_name(e.fault.check)}, {"request", e.fault.request_idx}, {"value", e.fault.value}};
  }
  json["verified_cells"] = e.num_cells;
  json["mismatches"] = e.num_mismatches;
  json["first_mismatches"] = nlohmann::ordered_json::array();
  for (const auto& m : e.mismatches) {
    json["first_mismatches"].push_back(
        {{"output", m.output}, {"index", m.index}, {"expected", m.expected}, {"got", m.got}});
  }
  return json;
}

}  // namespace nsameta::cli
