#include "cli/output_layout.h"

#include <string_view>

#include "cli/rounding.h"

namespace nsameta::cli {
namespace {

using build_metadata::output_kind;

int64_t capacity_of(std::string_view name, output_kind kind, const build_limits& limits) {
  if (name == "out_slots" && !limits.has_slots) return 0;
  switch (kind) {
    case output_kind::TOKEN: return limits.max_tokens;
    case output_kind::TOKEN_CU: return limits.max_tokens + 1;
    case output_kind::REQUEST: return limits.max_batch;
    case output_kind::REQUEST_CU: return int64_t{limits.max_batch} + 1;
    case output_kind::REQUEST_ROW: return int64_t{limits.max_batch} * limits.ctx_lens_columns;
    case output_kind::SCALAR: return 1;
    case output_kind::SCHEDULE: return limits.num_sms > 0 ? (int64_t{limits.num_sms} + 1) * 2 : 0;
    case output_kind::PLAN: return limits.plan_rows * 2;
    case output_kind::TABLE:
    case output_kind::KEY: break;  // too large for the block
  }
  return 0;
}

bool is_pairs(output_kind kind) { return kind == output_kind::SCHEDULE || kind == output_kind::PLAN; }

}  // namespace

output_layout lay_out(const build_limits& limits) {
  output_layout layout{};
  size_t i = 0;
  const auto place = [&](const char* name, output_kind kind) {
    const int64_t capacity = capacity_of(name, kind, limits);
    const int64_t num_cells = capacity > 0 ? pad_cells(capacity) : 0;
    layout.places[i++] = {name, layout.num_cells, capacity, num_cells};
    layout.num_cells += num_cells;
  };
#define NSAMETA_OUTPUT(name, kind) place(#name, output_kind::kind);
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  return layout;
}

void bind_outputs(const output_layout& layout, const build_limits& limits, int32_t* base, nsameta_device device,
                  nsameta_build_metadata_args* args) {
  size_t i = 0;
  const auto bind = [&](output_kind kind, nsameta_tensor* tensor) {
    const auto& place = layout.places[i++];
    if (place.capacity == 0) return;
    int32_t* data = base + place.first_cell;
    const int64_t columns = kind == output_kind::REQUEST_ROW ? limits.ctx_lens_columns : is_pairs(kind) ? 2 : 0;
    const auto num_cells = static_cast<size_t>(place.capacity);
    *tensor = columns == 0 ? make_tensor(data, num_cells, device)
                           : make_tensor_2d(data, num_cells / static_cast<size_t>(columns),
                                            static_cast<size_t>(columns), columns, device);
  };
#define NSAMETA_OUTPUT(name, kind) bind(output_kind::kind, &args->out.name);
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
}

}  // namespace nsameta::cli
