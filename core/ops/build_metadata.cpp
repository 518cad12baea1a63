#include "core/ops/build_metadata.h"

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstring>

#include "core/status.h"
#include "core/tensor.h"

namespace nsameta::build_metadata {
namespace {

using args_t = nsameta_build_metadata_args;
using desc_t = nsameta_build_metadata_desc;

// Kernels count positions in int32 and step over the end by less than this.
constexpr int64_t kHeadroom = 1 << 20;
constexpr int64_t kMaxRequests = INT32_MAX - kHeadroom;
constexpr int64_t kMaxPositions = INT32_MAX - kHeadroom;

// Finds the caller's struct as this library knows it: itself where the sizes agree, else a copy in `storage`. Fields
// that an older caller lacks have their default, and fields that only a newer library knows must be zero.
nsameta_status read_args(const args_t* caller, args_t* storage, const args_t** args) {
  if (caller == nullptr) return fail(NSAMETA_INVALID_ARGUMENT, "args=NULL must point to nsameta_build_metadata_args");
  *args = caller;
  const size_t size = caller->struct_size;
  if (size == sizeof(args_t)) return NSAMETA_OK;
  if (size < offsetof(args_t, seq_lens)) {
    return fail(NSAMETA_INVALID_ARGUMENT,
                "struct_size=%zu is not that of nsameta_build_metadata_args; call nsameta_build_metadata_args_init",
                size);
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(caller);
  if (size > sizeof(args_t) && std::any_of(bytes + sizeof(args_t), bytes + size, [](unsigned char b) { return b; })) {
    return fail(NSAMETA_INVALID_ARGUMENT, "struct_size=%zu holds fields that this library (%zu bytes) does not know",
                size, sizeof(args_t));
  }
  *storage = default_args();
  std::memcpy(storage, caller, std::min(size, sizeof(args_t)));
  *args = storage;
  return NSAMETA_OK;
}

nsameta_status check_range(const char* name, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) return NSAMETA_OK;
  return fail(NSAMETA_INVALID_ARGUMENT, "%s=%" PRId64 " must be in [%" PRId64 ", %" PRId64 "]", name, value, low, high);
}

nsameta_status check_scalars(const args_t& args) {
  const struct {
    const char* name;
    int64_t value, low, high;
  } ranges[] = {
      {"mode", args.mode, NSAMETA_MODE_DECODE, NSAMETA_MODE_EXTEND},
      {"batch", args.batch, -1, INT32_MAX},
      {"tokens_per_request", args.tokens_per_request, 0, INT32_MAX},
      {"static_width", args.static_width, 0, 1},
      {"topk", args.topk, 1, INT32_MAX},
      {"kpool", args.kpool, 1, INT32_MAX},
      {"clamp", args.clamp, NSAMETA_CLAMP_DEFAULT, NSAMETA_CLAMP_ON},
      {"tail", args.tail, NSAMETA_TAIL_KEEP, NSAMETA_TAIL_MINUS_ONE},
      {"num_tokens_bound", args.num_tokens_bound, -1, INT64_MAX},
  };
  for (const auto& r : ranges) {
    if (const auto status = check_range(r.name, r.value, r.low, r.high); status != NSAMETA_OK) return status;
  }
  return NSAMETA_OK;
}

// Where q comes from, by the table of modes.
nsameta_status resolve_query(const args_t& args, desc_t* desc) {
  const bool has_extend = is_present(args.extend_seq_lens);
  desc->query_source = NSAMETA_QUERY_CONSTANT;
  desc->query_width = args.tokens_per_request;
  if (args.mode == NSAMETA_MODE_DECODE || args.mode == NSAMETA_MODE_TARGET_VERIFY) {
    const char* mode = args.mode == NSAMETA_MODE_DECODE ? "decode" : "target_verify";
    if (has_extend || args.static_width != 0) {
      return fail(NSAMETA_INVALID_ARGUMENT, "%s must be absent in mode %s, whose query width is constant",
                  has_extend ? "extend_seq_lens" : "static_width", mode);
    }
    if (args.mode == NSAMETA_MODE_TARGET_VERIFY)
      return check_range("tokens_per_request", desc->query_width, 1, INT32_MAX);
    desc->query_width = 1;
    return check_range("tokens_per_request", args.tokens_per_request, 0, 1);
  }
  if (args.tokens_per_request > 0) {
    if (!has_extend && args.static_width == 0) return NSAMETA_OK;
    return fail(NSAMETA_INVALID_ARGUMENT, "tokens_per_request=%" PRId32 " excludes %s", args.tokens_per_request,
                has_extend ? "extend_seq_lens" : "static_width");
  }
  if (!has_extend) {
    return fail(NSAMETA_INVALID_ARGUMENT, "extend_seq_lens=NULL: mode %s needs it, or tokens_per_request > 0",
                args.mode == NSAMETA_MODE_EXTEND ? "extend" : "draft_extend");
  }
  desc->query_source = args.static_width != 0 ? NSAMETA_QUERY_FIRST : NSAMETA_QUERY_RAGGED;
  return NSAMETA_OK;
}

// `tensor` has passed check_tensor.
nsameta_status check_input(const char* name, const nsameta_tensor& tensor, int64_t needed, nsameta_lengths* lengths) {
  if (needed > tensor.shape[0]) {
    return fail(NSAMETA_INVALID_ARGUMENT, "batch=%" PRId64 " exceeds shape[0]=%" PRId64 " of %s", needed,
                tensor.shape[0], name);
  }
  const int64_t most_stride = INT32_MAX / dtype_bytes(tensor.dtype);
  if (tensor.strides[0] > most_stride || tensor.strides[0] < -most_stride) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: strides[0]=%" PRId64 " spans more than 2^31-1 bytes an element", name,
                tensor.strides[0]);
  }
  *lengths = {tensor.data, tensor.strides[0], tensor.dtype, 0};
  return NSAMETA_OK;
}

nsameta_status check_capacity(const char* name, output_kind kind, int64_t capacity, const desc_t& desc) {
  const auto refuse = [&](const char* what, int64_t count, int64_t extra) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s=%" PRId64 "%s exceeds capacity %" PRId64 " of %s", what, count,
                extra != 0 ? ", plus 1 for the leading 0," : "", capacity, name);
  };
  const bool is_cu = kind == output_kind::TOKEN_CU || kind == output_kind::REQUEST_CU;
  if (kind == output_kind::SCALAR) {
    if (capacity >= 1) return NSAMETA_OK;
    return fail(NSAMETA_INVALID_ARGUMENT, "capacity %" PRId64 " of %s must be at least 1", capacity, name);
  }
  if (kind == output_kind::TOKEN || kind == output_kind::TOKEN_CU) {
    if (is_cu && capacity < 1) return refuse("num_tokens", 0, 1);
    if (desc.query_source != NSAMETA_QUERY_CONSTANT) return NSAMETA_OK;  // only the device knows T
    const int64_t num_tokens = int64_t{desc.batch} * desc.query_width;
    return num_tokens + is_cu > capacity ? refuse("num_tokens", num_tokens, is_cu) : NSAMETA_OK;
  }
  return desc.batch + int64_t{is_cu} > capacity ? refuse("batch", desc.batch, is_cu) : NSAMETA_OK;
}

nsameta_status check_output(const char* name, output_kind kind, const nsameta_tensor& tensor, nsameta_device device,
                            desc_t* desc, nsameta_output* output) {
  const bool is_row = kind == output_kind::REQUEST_ROW;
  if (const auto status = check_tensor(name, tensor, is_row ? 2 : 1, device); status != NSAMETA_OK) return status;
  if (tensor.dtype == NSAMETA_INT64 && output != &desc->positions) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: dtype=int64 must be int32", name);
  }
  const int inner = is_row ? 1 : 0;
  if (tensor.shape[inner] > 1 && tensor.strides[inner] != 1) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: strides[%d]=%" PRId64 " must be 1", name, inner, tensor.strides[inner]);
  }
  if (is_row) {
    if (desc->query_source == NSAMETA_QUERY_CONSTANT && tensor.shape[1] != desc->query_width) {
      return fail(NSAMETA_INVALID_ARGUMENT, "%s: shape[1]=%" PRId64 " must be the query width %" PRId32, name,
                  tensor.shape[1], desc->query_width);
    }
    if (tensor.shape[0] > 1 && tensor.strides[0] < tensor.shape[1]) {
      return fail(NSAMETA_INVALID_ARGUMENT, "%s: strides[0]=%" PRId64 " makes rows of %" PRId64 " columns alias", name,
                  tensor.strides[0], tensor.shape[1]);
    }
    if (const auto status = check_range("shape[1] of paged_mqa_ctx_lens_2d", tensor.shape[1], 1, INT32_MAX);
        status != NSAMETA_OK) {
      return status;
    }
    if (int64_t{desc->batch} * tensor.shape[1] > INT32_MAX) {
      return fail(NSAMETA_INVALID_ARGUMENT, "%s: batch=%" PRId32 " x shape[1]=%" PRId64 " exceeds 2^31-1 cells", name,
                  desc->batch, tensor.shape[1]);
    }
    desc->ctx_lens_columns = static_cast<int32_t>(tensor.shape[1]);
    desc->ctx_lens_row_stride = tensor.strides[0];
  }
  *output = {tensor.data, std::min(tensor.shape[0], kMaxPositions)};
  if (output == &desc->positions) desc->positions_dtype = tensor.dtype;
  return check_capacity(name, kind, tensor.shape[0], *desc);
}

nsameta_status check_outputs(const args_t& args, nsameta_device device, desc_t* desc) {
  byte_range inputs[2];
  byte_range outputs[kNumOutputs];
  int num_inputs = 0;
  int num_outputs = 0;
  inputs[num_inputs++] = span_of("seq_lens", args.seq_lens);
  if (is_present(args.extend_seq_lens)) inputs[num_inputs++] = span_of("extend_seq_lens", args.extend_seq_lens);
#define NSAMETA_OUTPUT(name, kind)                                                                    \
  if (is_present(args.name)) {                                                                        \
    const auto status = check_output(#name, output_kind::kind, args.name, device, desc, &desc->name); \
    if (status != NSAMETA_OK) return status;                                                          \
    outputs[num_outputs++] = span_of(#name, args.name);                                               \
  }
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  return check_disjoint(inputs, num_inputs, outputs, num_outputs);
}

}  // namespace

args_t default_args() {
  args_t args{};
  args.struct_size = sizeof(args);
  args.batch = -1;
  args.kpool = 1;
  args.num_tokens_bound = -1;
  return args;
}

nsameta_status check(const args_t* caller, nsameta_device device, desc_t* desc) {
  args_t storage;
  const args_t* found = nullptr;
  if (const auto status = read_args(caller, &storage, &found); status != NSAMETA_OK) return status;
  const args_t& args = *found;
  if (const auto status = check_scalars(args); status != NSAMETA_OK) return status;
  *desc = {};
  if (const auto status = resolve_query(args, desc); status != NSAMETA_OK) return status;
  if (!is_present(args.seq_lens)) {
    return fail(NSAMETA_INVALID_ARGUMENT, "seq_lens=NULL: every mode needs it");
  }
  if (const auto status = check_tensor("seq_lens", args.seq_lens, 1, device); status != NSAMETA_OK) return status;
  const int64_t batch = args.batch >= 0 ? args.batch : args.seq_lens.shape[0];
  if (const auto status = check_range("batch", batch, 0, kMaxRequests); status != NSAMETA_OK) return status;
  desc->batch = static_cast<int32_t>(batch);
  desc->kv_offset = args.mode == NSAMETA_MODE_TARGET_VERIFY ? args.tokens_per_request : 0;
  desc->topk = args.topk;
  desc->kpool = args.kpool;
  desc->clamp =
      args.clamp == NSAMETA_CLAMP_DEFAULT ? args.mode == NSAMETA_MODE_DRAFT_EXTEND : args.clamp == NSAMETA_CLAMP_ON;
  desc->tail = args.tail;
  desc->num_tokens_bound = args.num_tokens_bound;
  if (const auto status = check_input("seq_lens", args.seq_lens, batch, &desc->seq_lens); status != NSAMETA_OK) {
    return status;
  }
  if (desc->query_source != NSAMETA_QUERY_CONSTANT) {
    const auto& lengths = args.extend_seq_lens;
    if (const auto status = check_tensor("extend_seq_lens", lengths, 1, device); status != NSAMETA_OK) return status;
    const int64_t needed = desc->query_source == NSAMETA_QUERY_FIRST ? std::min<int64_t>(batch, 1) : batch;
    const auto status = check_input("extend_seq_lens", lengths, needed, &desc->extend_seq_lens);
    if (status != NSAMETA_OK) return status;
  }
  return check_outputs(args, device, desc);
}

void list_outputs(const desc_t& desc, output_view* views) {
  int i = 0;
#define NSAMETA_OUTPUT(name, kind) views[i++] = {#name, output_kind::kind, &desc.name, 4};
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  for (i = 0; i < kNumOutputs; ++i) {
    if (views[i].output == &desc.positions && desc.positions_dtype == NSAMETA_INT64) views[i].element_bytes = 8;
  }
}

int64_t written_count(const output_view& view, const desc_t& desc, int64_t num_tokens) {
  const bool has_tail = desc.tail != NSAMETA_TAIL_KEEP && num_tokens > 0 && desc.batch > 0;
  const int64_t capacity = view.output->capacity;
  switch (view.kind) {
    case output_kind::TOKEN: return has_tail ? capacity : std::min(num_tokens, capacity);
    case output_kind::TOKEN_CU: return has_tail ? capacity : std::min(num_tokens + 1, capacity);
    case output_kind::REQUEST:
    case output_kind::REQUEST_ROW: return desc.batch;
    case output_kind::REQUEST_CU: return int64_t{desc.batch} + 1;
    case output_kind::SCALAR: return 1;
  }
  return 0;
}

}  // namespace nsameta::build_metadata
