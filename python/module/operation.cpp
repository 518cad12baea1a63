#include "python/module/operation.h"

#include <cstring>

namespace nsameta::python {
namespace {

constexpr choice kModes[] = {{"decode", NSAMETA_MODE_DECODE},
                             {"target_verify", NSAMETA_MODE_TARGET_VERIFY},
                             {"draft_extend", NSAMETA_MODE_DRAFT_EXTEND},
                             {"extend", NSAMETA_MODE_EXTEND}};
constexpr choice kTails[] = {{"keep", NSAMETA_TAIL_KEEP},
                             {"zero", NSAMETA_TAIL_ZERO},
                             {"last", NSAMETA_TAIL_LAST},
                             {"minus_one", NSAMETA_TAIL_MINUS_ONE}};
constexpr choice kTableWidths[] = {
    {"live_128", NSAMETA_TABLE_LIVE_128}, {"full", NSAMETA_TABLE_FULL}, {"exact", NSAMETA_TABLE_EXACT}};
constexpr choice kTableRows[] = {{"per_request", NSAMETA_TABLE_ROWS_PER_REQUEST},
                                 {"per_token", NSAMETA_TABLE_ROWS_PER_TOKEN}};
constexpr choice kMqaVariants[] = {{"v1", NSAMETA_MQA_V1},
                                   {"apr26", NSAMETA_MQA_APR26},
                                   {"sm90_jun26", NSAMETA_MQA_SM90_JUN26},
                                   {"sm100_jun26", NSAMETA_MQA_SM100_JUN26}};
constexpr choice kMqaLengths[] = {{"kv", NSAMETA_MQA_LENGTHS_KV}, {"visible", NSAMETA_MQA_LENGTHS_VISIBLE}};
constexpr choice kTopkPlanArchs[] = {{"hopper", NSAMETA_TOPK_PLAN_HOPPER}, {"blackwell", NSAMETA_TOPK_PLAN_BLACKWELL}};
constexpr choice kMlaLayouts[] = {
    {"tokens", NSAMETA_MLA_TOKENS}, {"blocks", NSAMETA_MLA_BLOCKS}, {"sched_meta", NSAMETA_MLA_SCHED_META}};

#define NSAMETA_FIELD(args, kind, name, ...) {#name, field_kind::kind, offsetof(args, name) __VA_OPT__(, ) __VA_ARGS__}
constexpr field kContext{"context", field_kind::CONTEXT};
constexpr field kStream{"stream", field_kind::STREAM};

using build_args = nsameta_build_metadata_args;
constexpr field kBuildFields[] = {NSAMETA_FIELD(build_args, CHOICE, mode, kModes),
                                  NSAMETA_FIELD(build_args, INT32, batch),
                                  NSAMETA_FIELD(build_args, INT32, tokens_per_request),
                                  NSAMETA_FIELD(build_args, FLAG, static_width),
                                  NSAMETA_FIELD(build_args, INT32, topk),
                                  NSAMETA_FIELD(build_args, INT32, kpool),
                                  NSAMETA_FIELD(build_args, CLAMP, clamp),
                                  NSAMETA_FIELD(build_args, CHOICE, tail, kTails),
                                  NSAMETA_FIELD(build_args, INT32, page_size),
                                  NSAMETA_FIELD(build_args, CHOICE, table_width, kTableWidths),
                                  NSAMETA_FIELD(build_args, CHOICE, table_rows, kTableRows),
                                  NSAMETA_FIELD(build_args, CHOICE, mqa_variant, kMqaVariants),
                                  NSAMETA_FIELD(build_args, CHOICE, mqa_lengths, kMqaLengths),
                                  NSAMETA_FIELD(build_args, INT32, mqa_next_n),
                                  NSAMETA_FIELD(build_args, CHOICE, topk_plan_arch, kTopkPlanArchs),
                                  NSAMETA_FIELD(build_args, INT32, topk_plan_clusters),
                                  NSAMETA_FIELD(build_args, INT32, topk_plan_threshold),
                                  NSAMETA_FIELD(build_args, FLAG, programmatic_launch),
                                  NSAMETA_FIELD(build_args, INT64, max_table_width),
                                  NSAMETA_FIELD(build_args, INT64, num_tokens_bound),
                                  NSAMETA_FIELD(build_args, INT64, max_kv_bound),
                                  NSAMETA_FIELD(build_args, INPUT, seq_lens),
                                  NSAMETA_FIELD(build_args, INPUT, extend_seq_lens),
                                  NSAMETA_FIELD(build_args, INPUT, num_requests),
                                  NSAMETA_FIELD(build_args, INPUT, req_pool_indices),
                                  NSAMETA_FIELD(build_args, INPUT, req_to_token),
                                  NSAMETA_FIELD(build_args, OUT, out),
                                  NSAMETA_FIELD(build_args, MORE_OUTPUTS, more_outputs),
                                  {"outputs", field_kind::OUTPUTS},
                                  kContext,
                                  kStream};

constexpr field kOutputFields[] = {
#define NSAMETA_OUTPUT(name, kind) NSAMETA_FIELD(nsameta_metadata_outputs, OUTPUT, name),
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
};

constexpr field kCopyFields[] = {{"pairs", field_kind::PAIRS}, kContext, kStream};

using topk_args = nsameta_map_topk_to_slots_args;
constexpr field kTopkFields[] = {NSAMETA_FIELD(topk_args, INPUT, topk_indices),
                                 NSAMETA_FIELD(topk_args, INPUT, offset),
                                 NSAMETA_FIELD(topk_args, INPUT, req_to_token),
                                 NSAMETA_FIELD(topk_args, INPUT, req_pool_indices),
                                 NSAMETA_FIELD(topk_args, INPUT, token_to_batch),
                                 NSAMETA_FIELD(topk_args, INPUT, cu_seqlens_q),
                                 NSAMETA_FIELD(topk_args, INPUT, page_table),
                                 NSAMETA_FIELD(topk_args, INPUT, flattened),
                                 NSAMETA_FIELD(topk_args, OUTPUT, slots),
                                 NSAMETA_FIELD(topk_args, OUTPUT, num_valid),
                                 kContext,
                                 kStream};

using mla_args = nsameta_mla_schedule_args;
constexpr field kMlaFields[] = {NSAMETA_FIELD(mla_args, INT32, batch),
                                NSAMETA_FIELD(mla_args, INT32, block_size),
                                NSAMETA_FIELD(mla_args, INT32, fixed_overhead),
                                NSAMETA_FIELD(mla_args, INT32, topk),
                                NSAMETA_FIELD(mla_args, FLAG, min_keys),
                                NSAMETA_FIELD(mla_args, CHOICE, layout, kMlaLayouts),
                                NSAMETA_FIELD(mla_args, INPUT, seq_lens),
                                NSAMETA_FIELD(mla_args, OUTPUT, parts),
                                NSAMETA_FIELD(mla_args, OUTPUT, num_splits),
                                kContext,
                                kStream};
#undef NSAMETA_FIELD

}  // namespace

field_table::field_table(std::span<const field> fields) {
  for (const field& each : fields) {
    PyObject* name = PyUnicode_InternFromString(each.name);
    if (name == nullptr) throw nanobind::python_error();
    size_t slot_idx = first_slot(name);
    while (slots_[slot_idx].name != nullptr) slot_idx = (slot_idx + 1) % kNumSlots;
    slots_[slot_idx] = {name, &each};
  }
}

const field* field_table::find(PyObject* name) const noexcept {
  for (size_t slot_idx = first_slot(name); slots_[slot_idx].name != nullptr; slot_idx = (slot_idx + 1) % kNumSlots) {
    if (slots_[slot_idx].name == name) return slots_[slot_idx].of;
  }
  // A string that was put together at run time.
  if (!PyUnicode_Check(name)) return nullptr;
  for (const slot& each : slots_) {
    if (each.name != nullptr && PyUnicode_CompareWithASCIIString(name, each.of->name) == 0) return each.of;
  }
  return nullptr;
}

// Tables are made on first use, with the GIL held, and live as long as the process.
#define NSAMETA_OPERATION(name, upper, fields)                                                        \
  const operation& name##_operation() {                                                               \
    static const auto& made =                                                                         \
        *new operation{#name, NSAMETA_OP_##upper, field_table(fields),                                \
                       [](operation_args* args) { nsameta_##name##_args_init(&args->name); },         \
                       [](const nsameta_context* context, const operation_args& args, void* stream) { \
                         return nsameta_##name(context, &args.name, stream);                          \
                       }};                                                                            \
    return made;                                                                                      \
  }
NSAMETA_OPERATION(build_metadata, BUILD_METADATA, kBuildFields)
NSAMETA_OPERATION(copy_metadata, COPY_METADATA, kCopyFields)
NSAMETA_OPERATION(map_topk_to_slots, MAP_TOPK_TO_SLOTS, kTopkFields)
NSAMETA_OPERATION(mla_schedule, MLA_SCHEDULE, kMlaFields)
#undef NSAMETA_OPERATION

const operation* find_operation(const char* name) {
  for (const operation* each : {&build_metadata_operation(), &copy_metadata_operation(), &map_topk_to_slots_operation(),
                                &mla_schedule_operation()}) {
    if (std::strcmp(each->name, name) == 0) return each;
  }
  return nullptr;
}

const field_table& metadata_output_fields() {
  static const auto& made = *new field_table(kOutputFields);
  return made;
}

}  // namespace nsameta::python
