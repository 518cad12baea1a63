// What the host can see of the outputs: shapes, strides, capacities, overlap.
#include <algorithm>
#include <cinttypes>
#include <cstring>

#include "core/ops/build_metadata.h"
#include "core/status.h"
#include "core/tensor.h"

namespace nsameta::build_metadata {
namespace {

using args_t = nsameta_build_metadata_args;
using desc_t = nsameta_build_metadata_desc;

// Inputs of the operation, and outputs of all sets.
constexpr int kMaxInputs = 5;
constexpr int kMaxOutputs = kNumOutputs * NSAMETA_MAX_DESTINATIONS;

bool is_2d(output_kind kind) {
  return kind == output_kind::REQUEST_ROW || kind == output_kind::TABLE || kind == output_kind::SCHEDULE ||
         kind == output_kind::PLAN;
}

nsameta_status check_capacity(const char* name, output_kind kind, int64_t capacity, const desc_t& desc) {
  const auto refuse = [&](const char* what, int64_t count, int64_t extra) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s=%" PRId64 "%s exceeds capacity %" PRId64 " of %s", what, count,
                extra != 0 ? ", plus 1 for the leading 0," : "", capacity, name);
  };
  const bool has_token_rows = kind == output_kind::TOKEN || kind == output_kind::TOKEN_CU ||
                              (kind == output_kind::TABLE && desc.tables_by_token);
  const bool is_cu = kind == output_kind::TOKEN_CU || kind == output_kind::REQUEST_CU;
  if (kind == output_kind::SCALAR || kind == output_kind::PLAN) {
    return capacity >= 1
               ? NSAMETA_OK
               : fail(NSAMETA_INVALID_ARGUMENT, "capacity %" PRId64 " of %s must be at least 1", capacity, name);
  }
  if (kind == output_kind::KEY || kind == output_kind::SCHEDULE) return NSAMETA_OK;  // only the device knows the count
  if (has_token_rows) {
    if (is_cu && capacity < 1) return refuse("num_tokens", 0, 1);
    if (desc.query_source != NSAMETA_QUERY_CONSTANT) return NSAMETA_OK;  // only the device knows T
    const int64_t num_tokens = int64_t{desc.batch} * desc.query_width;
    return num_tokens + is_cu > capacity ? refuse("num_tokens", num_tokens, is_cu) : NSAMETA_OK;
  }
  return desc.batch + int64_t{is_cu} > capacity ? refuse("batch", desc.batch, is_cu) : NSAMETA_OK;
}

nsameta_status check_context_lengths(const char* name, const nsameta_tensor& tensor, const desc_t& desc) {
  if (desc.query_source == NSAMETA_QUERY_CONSTANT && tensor.shape[1] != desc.query_width) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: shape[1]=%" PRId64 " must be the query width %" PRId32, name,
                tensor.shape[1], desc.query_width);
  }
  if (tensor.shape[0] > 1 && tensor.strides[0] < tensor.shape[1]) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: strides[0]=%" PRId64 " makes rows of %" PRId64 " columns alias", name,
                tensor.strides[0], tensor.shape[1]);
  }
  const auto status = check_range("shape[1] of paged_mqa_ctx_lens_2d", tensor.shape[1], 1, INT32_MAX);
  if (status == NSAMETA_OK && int64_t{desc.batch} * tensor.shape[1] > INT32_MAX) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: batch=%" PRId32 " x shape[1]=%" PRId64 " exceeds 2^31-1 cells", name,
                desc.batch, tensor.shape[1]);
  }
  return status;
}

// A schedule or a plan.
nsameta_status check_pairs(const char* name, output_kind kind, const nsameta_tensor& tensor) {
  if (tensor.shape[1] != 2) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: shape[1]=%" PRId64 " must be 2", name, tensor.shape[1]);
  }
  if (tensor.shape[0] > 1 && tensor.strides[0] != 2) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: strides[0]=%" PRId64 " must be 2", name, tensor.strides[0]);
  }
  if (kind != output_kind::SCHEDULE) return NSAMETA_OK;
  return check_range("num_sms = shape[0] - 1 of paged_mqa_schedule", tensor.shape[0] - 1, 1, NSAMETA_MAX_SMS);
}

// Also cuts the table to what may be written.
nsameta_status check_table(const char* name, const nsameta_tensor& tensor, const args_t& args, bool is_paged,
                           nsameta_output* output) {
  if (is_paged && args.page_size == 1) {
    return fail(NSAMETA_INVALID_ARGUMENT, "page_size=1: %s needs a page_size > 1; page_table_1 is the table of slots",
                name);
  }
  if (const auto status = check_distinct_cells(name, tensor); status != NSAMETA_OK) return status;
  const int64_t page = is_paged ? args.page_size : 1;
  output->num_columns = std::min(tensor.shape[1], kMaxPositions / page);
  if (args.max_table_width >= 0) {
    const int64_t pages = args.max_table_width / page + (args.max_table_width % page != 0 ? 1 : 0);
    output->num_columns = std::min(output->num_columns, pages);
  }
  return NSAMETA_OK;
}

nsameta_status check_output(const char* name, output_kind kind, const nsameta_tensor& tensor, const args_t& args,
                            nsameta_device device, const desc_t& desc, nsameta_output_set* set,
                            nsameta_output* output) {
  const int ndim = is_2d(kind) ? 2 : 1;
  if (const auto status = check_tensor(name, tensor, ndim, device); status != NSAMETA_OK) return status;
  if (tensor.dtype == NSAMETA_INT64 && output != &set->positions && output != &set->out_slots) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: dtype=int64 must be int32", name);
  }
  const int inner = ndim - 1;
  if (kind != output_kind::TABLE && tensor.shape[inner] > 1 && tensor.strides[inner] != 1) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: strides[%d]=%" PRId64 " must be 1", name, inner, tensor.strides[inner]);
  }
  const bool is_long = kind == output_kind::TABLE || kind == output_kind::KEY;
  const int64_t capacity = is_long ? tensor.shape[0] : std::min(tensor.shape[0], kMaxPositions);
  *output = {tensor.data, capacity, tensor.shape[1], tensor.strides[0], tensor.strides[1], tensor.dtype, 0};
  auto status = NSAMETA_OK;
  if (kind == output_kind::REQUEST_ROW) status = check_context_lengths(name, tensor, desc);
  if (kind == output_kind::SCHEDULE || kind == output_kind::PLAN) status = check_pairs(name, kind, tensor);
  if (kind == output_kind::TABLE) {
    status = check_table(name, tensor, args, output == &set->real_page_table, output);
  }
  return status == NSAMETA_OK ? check_capacity(name, kind, tensor.shape[0], desc) : status;
}

// Fills one set, and adds what its outputs span to `spans`.
nsameta_status check_set(const args_t& args, const nsameta_metadata_outputs& tensors, nsameta_device device,
                         const desc_t& desc, nsameta_output_set* set, byte_range* spans, int* num_spans) {
  std::memset(set, 0, sizeof(*set));
#define NSAMETA_OUTPUT(name, kind)                                                                                 \
  if (is_present(tensors.name)) {                                                                                  \
    const auto status = check_output(#name, output_kind::kind, tensors.name, args, device, desc, set, &set->name); \
    if (status != NSAMETA_OK) return status;                                                                       \
    spans[(*num_spans)++] = span_of(#name, tensors.name);                                                          \
  }
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  if (!wants_slots(*set)) return NSAMETA_OK;
  const char* missing = !is_present(args.req_to_token)       ? "req_to_token"
                        : !is_present(args.req_pool_indices) ? "req_pool_indices"
                                                             : nullptr;
  if (missing == nullptr) return NSAMETA_OK;
  return fail(NSAMETA_INVALID_ARGUMENT,
              "%s=NULL: out_slots, page_table_1, real_page_table and page_table_1_flattened need it", missing);
}

}  // namespace

bool wants_slots(const nsameta_output_set& set) {
  return set.out_slots.data != nullptr || set.page_table_1.data != nullptr || set.real_page_table.data != nullptr ||
         set.page_table_1_flattened.data != nullptr;
}

nsameta_status check_all_outputs(const args_t& args, nsameta_device device, desc_t* desc) {
  byte_range inputs[kMaxInputs];
  byte_range outputs[kMaxOutputs];
  int num_inputs = 0;
  int num_outputs = 0;
  const auto add_input = [&](const char* name, const nsameta_tensor& tensor) {
    if (is_present(tensor)) inputs[num_inputs++] = span_of(name, tensor);
  };
  add_input("seq_lens", args.seq_lens);
  add_input("extend_seq_lens", args.extend_seq_lens);
  add_input("num_requests", args.num_requests);
  add_input("req_pool_indices", args.req_pool_indices);
  add_input("req_to_token", args.req_to_token);
  desc->num_sets = 1 + args.num_more_outputs;
  if (args.num_more_outputs > 0 && args.more_outputs == nullptr) {
    return fail(NSAMETA_INVALID_ARGUMENT, "more_outputs=NULL: num_more_outputs=%" PRId32 " sets must be there",
                args.num_more_outputs);
  }
  const size_t known = sizeof(nsameta_metadata_outputs);
  const size_t given = args.struct_size - offsetof(args_t, out);
  for (int i = 0; i < desc->num_sets; ++i) {
    nsameta_metadata_outputs tensors{};
    if (i > 0) {
      const auto* element =
          reinterpret_cast<const unsigned char*>(args.more_outputs) + given * static_cast<size_t>(i - 1);
      std::memcpy(&tensors, element, std::min(given, known));
    }
    const auto status =
        check_set(args, i == 0 ? args.out : tensors, device, *desc, &desc->sets[i], outputs, &num_outputs);
    if (status != NSAMETA_OK) return status;
  }
  return check_disjoint(inputs, num_inputs, outputs, num_outputs);
}

void list_outputs(const nsameta_output_set& set, output_view* views) {
  int i = 0;
#define NSAMETA_OUTPUT(name, kind) views[i++] = {#name, output_kind::kind, &set.name};
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
}

}  // namespace nsameta::build_metadata
