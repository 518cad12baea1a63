#include "core/ops/build_metadata.h"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstdint>
#include <cstring>

#include "core/args.h"
#include "core/status.h"
#include "core/tensor.h"

namespace nsameta::build_metadata {
namespace {

using args_t = nsameta_build_metadata_args;
using desc_t = nsameta_build_metadata_desc;

constexpr int64_t kMaxRequests = INT32_MAX - kHeadroom;

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
      {"page_size", args.page_size, 1, 256},
      {"table_width", args.table_width, NSAMETA_TABLE_LIVE_128, NSAMETA_TABLE_EXACT},
      {"table_rows", args.table_rows, NSAMETA_TABLE_ROWS_DEFAULT, NSAMETA_TABLE_ROWS_PER_TOKEN},
      {"mqa_variant", args.mqa_variant, NSAMETA_MQA_V1, NSAMETA_MQA_SM100_JUN26},
      {"mqa_lengths", args.mqa_lengths, NSAMETA_MQA_LENGTHS_DEFAULT, NSAMETA_MQA_LENGTHS_VISIBLE},
      {"mqa_next_n", args.mqa_next_n, 1, 1 << 16},
      {"topk_plan_arch", args.topk_plan_arch, NSAMETA_TOPK_PLAN_HOPPER, NSAMETA_TOPK_PLAN_BLACKWELL},
      {"topk_plan_clusters", args.topk_plan_clusters, 0, INT32_MAX},
      {"topk_plan_threshold", args.topk_plan_threshold, -1, INT32_MAX},
      {"num_more_outputs", args.num_more_outputs, 0, NSAMETA_MAX_DESTINATIONS - 1},
      {"programmatic_launch", args.programmatic_launch, 0, 1},
      {"max_table_width", args.max_table_width, -1, INT64_MAX},
      {"num_tokens_bound", args.num_tokens_bound, -1, INT64_MAX},
      {"max_kv_bound", args.max_kv_bound, -1, INT64_MAX},
  };
  for (const auto& r : ranges) {
    if (const auto status = check_range(r.name, r.value, r.low, r.high); status != NSAMETA_OK) return status;
  }
  if (!std::has_single_bit(static_cast<uint32_t>(args.page_size))) {
    return fail(NSAMETA_INVALID_ARGUMENT, "page_size=%" PRId32 " must be a power of two", args.page_size);
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

// What the mode and the choices of the caller make of clamp, tables, schedule and plan.
nsameta_status resolve_options(const args_t& args, desc_t* desc) {
  const bool is_speculative = args.mode == NSAMETA_MODE_TARGET_VERIFY || args.mode == NSAMETA_MODE_DRAFT_EXTEND;
  desc->kv_offset = args.mode == NSAMETA_MODE_TARGET_VERIFY ? args.tokens_per_request : 0;
  desc->topk = args.topk;
  desc->kpool = args.kpool;
  desc->clamp =
      args.clamp == NSAMETA_CLAMP_DEFAULT ? args.mode == NSAMETA_MODE_DRAFT_EXTEND : args.clamp == NSAMETA_CLAMP_ON;
  desc->tail = args.tail;
  desc->page_shift = std::countr_zero(static_cast<uint32_t>(args.page_size));
  desc->table_width = args.table_width;
  desc->tables_by_token =
      args.table_rows == NSAMETA_TABLE_ROWS_DEFAULT ? is_speculative : args.table_rows == NSAMETA_TABLE_ROWS_PER_TOKEN;
  desc->mqa_variant = args.mqa_variant;
  desc->mqa_by_token = args.mqa_lengths == NSAMETA_MQA_LENGTHS_DEFAULT
                           ? is_speculative
                           : args.mqa_lengths == NSAMETA_MQA_LENGTHS_VISIBLE;
  const int32_t next_n = args.mqa_next_n;
  if (desc->mqa_by_token != 0 && next_n != 1) {
    return fail(NSAMETA_INVALID_ARGUMENT,
                "mqa_next_n=%" PRId32
                " must be 1 where each length is one token: mqa_lengths"
                " VISIBLE, the default of mode %s",
                next_n, is_speculative ? "target_verify or draft_extend" : "none");
  }
  desc->mqa_atoms = 1;
  if (args.mqa_variant == NSAMETA_MQA_APR26) desc->mqa_atoms = next_n % 2 == 0 ? next_n / 2 : next_n;
  if (args.mqa_variant == NSAMETA_MQA_SM90_JUN26) desc->mqa_atoms = (next_n + 1) / 2;
  desc->topk_plan_arch = args.topk_plan_arch;
  desc->topk_plan_clusters = args.topk_plan_clusters;
  desc->topk_plan_threshold = args.topk_plan_threshold;
  desc->programmatic_launch = args.programmatic_launch;
  desc->num_tokens_bound = args.num_tokens_bound;
  desc->max_kv_bound = args.max_kv_bound;
  return NSAMETA_OK;
}

// A vector with an element per request.
nsameta_status check_lengths(const char* name, const nsameta_tensor& tensor, nsameta_device device, int64_t needed,
                             nsameta_lengths* lengths) {
  if (const auto status = check_tensor(name, tensor, 1, device); status != NSAMETA_OK) return status;
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

nsameta_status check_num_requests(const nsameta_tensor& tensor, nsameta_device device, desc_t* desc) {
  if (const auto status = check_tensor("num_requests", tensor, 1, device); status != NSAMETA_OK) return status;
  if (tensor.dtype != NSAMETA_INT32) return fail(NSAMETA_INVALID_ARGUMENT, "num_requests: dtype=int64 must be int32");
  if (tensor.shape[0] < 1) return fail(NSAMETA_INVALID_ARGUMENT, "num_requests: shape[0]=0 must be at least 1");
  desc->num_requests = static_cast<const int32_t*>(tensor.data);
  return NSAMETA_OK;
}

nsameta_status check_inputs(const args_t& args, nsameta_device device, desc_t* desc) {
  if (!is_present(args.seq_lens)) return fail(NSAMETA_INVALID_ARGUMENT, "seq_lens=NULL: every mode needs it");
  if (const auto status = check_tensor("seq_lens", args.seq_lens, 1, device); status != NSAMETA_OK) return status;
  const int64_t batch = args.batch >= 0 ? args.batch : args.seq_lens.shape[0];
  if (const auto status = check_range("batch", batch, 0, kMaxRequests); status != NSAMETA_OK) return status;
  desc->batch = static_cast<int32_t>(batch);
  auto status = check_lengths("seq_lens", args.seq_lens, device, batch, &desc->seq_lens);
  if (status == NSAMETA_OK && desc->query_source != NSAMETA_QUERY_CONSTANT) {
    const int64_t needed = desc->query_source == NSAMETA_QUERY_FIRST ? std::min<int64_t>(batch, 1) : batch;
    status = check_lengths("extend_seq_lens", args.extend_seq_lens, device, needed, &desc->extend_seq_lens);
  }
  if (status == NSAMETA_OK && is_present(args.num_requests)) {
    status = check_num_requests(args.num_requests, device, desc);
  }
  if (status == NSAMETA_OK && is_present(args.req_pool_indices)) {
    status = check_lengths("req_pool_indices", args.req_pool_indices, device, batch, &desc->req_pool_indices);
  }
  if (status == NSAMETA_OK && is_present(args.req_to_token)) {
    status = check_matrix("req_to_token", args.req_to_token, device, &desc->req_to_token);
  }
  return status;
}

}  // namespace

args_t default_args() {
  args_t args{};
  args.struct_size = sizeof(args);
  args.batch = -1;
  args.kpool = 1;
  args.page_size = 1;
  args.mqa_next_n = 1;
  args.topk_plan_clusters = 30;
  args.topk_plan_threshold = -1;
  args.max_table_width = -1;
  args.num_tokens_bound = -1;
  args.max_kv_bound = -1;
  return args;
}

nsameta_status check(const args_t* caller, nsameta_device device, desc_t* desc) {
  args_t storage;
  const args_t* found = nullptr;
  auto status = read_args("build_metadata", offsetof(args_t, out), default_args, caller, &storage, &found);
  if (status != NSAMETA_OK) return status;
  const args_t& args = *found;
  std::memset(desc, 0, offsetof(desc_t, sets));
  status = check_scalars(args);
  if (status == NSAMETA_OK) status = resolve_query(args, desc);
  if (status == NSAMETA_OK) status = resolve_options(args, desc);
  if (status == NSAMETA_OK) status = check_inputs(args, device, desc);
  return status == NSAMETA_OK ? check_all_outputs(args, device, desc) : status;
}

}  // namespace nsameta::build_metadata
