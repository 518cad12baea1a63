#include "core/ops/mla_schedule.h"

#include <cinttypes>

#include "core/args.h"
#include "core/status.h"
#include "core/tensor.h"

namespace nsameta::mla_schedule {
namespace {

using args_t = nsameta_mla_schedule_args;
using desc_t = nsameta_mla_schedule_desc;

constexpr int64_t kMaxRequests = INT32_MAX - (1 << 20);  // kernels step over the end by less than the difference
constexpr int64_t kMaxOverhead = 1 << 16;

nsameta_status check_scalars(const args_t& args) {
  const struct {
    const char* name;
    int64_t value, low, high;
  } ranges[] = {
      {"batch", args.batch, -1, kMaxRequests},
      {"block_size", args.block_size, 1, INT32_MAX},
      {"fixed_overhead", args.fixed_overhead, 0, kMaxOverhead},
      {"topk", args.topk, 0, INT32_MAX},
      {"min_keys", args.min_keys, 0, 1},
      {"layout", args.layout, NSAMETA_MLA_TOKENS, NSAMETA_MLA_SCHED_META},
  };
  for (const auto& r : ranges) {
    if (const auto status = check_range(r.name, r.value, r.low, r.high); status != NSAMETA_OK) return status;
  }
  return NSAMETA_OK;
}

// batch, and seq_lens where it is read.
nsameta_status check_lengths(const args_t& args, nsameta_device device, desc_t* desc) {
  const nsameta_tensor& lengths = args.seq_lens;
  if (!is_present(lengths)) {
    if (args.topk == 0) return fail(NSAMETA_INVALID_ARGUMENT, "seq_lens=NULL: mla_schedule needs it, or topk > 0");
    if (args.batch < 0) return fail(NSAMETA_INVALID_ARGUMENT, "batch=-1 needs seq_lens, which is NULL");
    desc->batch = args.batch;
    return NSAMETA_OK;
  }
  if (const auto status = check_tensor("seq_lens", lengths, 1, device); status != NSAMETA_OK) return status;
  const int64_t batch = args.batch >= 0 ? args.batch : lengths.shape[0];
  if (const auto status = check_range("batch", batch, 0, kMaxRequests); status != NSAMETA_OK) return status;
  desc->batch = static_cast<int32_t>(batch);
  if (args.topk > 0) return NSAMETA_OK;
  if (batch > lengths.shape[0]) {
    return fail(NSAMETA_INVALID_ARGUMENT, "batch=%" PRId64 " exceeds shape[0]=%" PRId64 " of seq_lens", batch,
                lengths.shape[0]);
  }
  desc->seq_lens = {lengths.data, lengths.strides[0], lengths.dtype, 0};
  return NSAMETA_OK;
}

// An int32 output.
nsameta_status check_output(const char* name, const nsameta_tensor& tensor, int32_t ndim, nsameta_device device) {
  if (!is_present(tensor)) return fail(NSAMETA_INVALID_ARGUMENT, "%s=NULL: mla_schedule needs it", name);
  if (const auto status = check_tensor(name, tensor, ndim, device); status != NSAMETA_OK) return status;
  if (tensor.dtype == NSAMETA_INT32) return NSAMETA_OK;
  return fail(NSAMETA_INVALID_ARGUMENT, "%s: dtype=int64 must be int32", name);
}

nsameta_status check_parts(const nsameta_tensor& tensor, nsameta_device device, desc_t* desc) {
  if (const auto status = check_output("parts", tensor, 2, device); status != NSAMETA_OK) return status;
  auto status = check_range("shape[0] of parts", tensor.shape[0], 1, NSAMETA_MAX_MLA_PARTS);
  if (status == NSAMETA_OK) status = check_range("shape[1] of parts", tensor.shape[1], kRowWords, kRowWords);
  if (status != NSAMETA_OK) return status;
  if (tensor.strides[1] != 1 || (tensor.shape[0] > 1 && tensor.strides[0] != kRowWords)) {
    return fail(NSAMETA_INVALID_ARGUMENT, "parts: strides=(%" PRId64 ", %" PRId64 ") must be (8, 1)", tensor.strides[0],
                tensor.strides[1]);
  }
  desc->parts = static_cast<int32_t*>(tensor.data);
  desc->num_parts = static_cast<int32_t>(tensor.shape[0]);
  return NSAMETA_OK;
}

nsameta_status check_num_splits(const nsameta_tensor& tensor, nsameta_device device, desc_t* desc) {
  if (const auto status = check_output("num_splits", tensor, 1, device); status != NSAMETA_OK) return status;
  if (tensor.shape[0] <= desc->batch) {
    return fail(NSAMETA_INVALID_ARGUMENT, "num_splits: shape[0]=%" PRId64 " must be at least batch + 1 = %" PRId64,
                tensor.shape[0], int64_t{desc->batch} + 1);
  }
  if (tensor.shape[0] > 1 && tensor.strides[0] != 1) {
    return fail(NSAMETA_INVALID_ARGUMENT, "num_splits: strides[0]=%" PRId64 " must be 1", tensor.strides[0]);
  }
  desc->num_splits = static_cast<int32_t*>(tensor.data);
  return NSAMETA_OK;
}

nsameta_status check_overlap(const args_t& args, const desc_t& desc) {
  const byte_range inputs[] = {span_of("seq_lens", args.seq_lens)};
  const byte_range outputs[] = {span_of("parts", args.parts), span_of("num_splits", args.num_splits)};
  return check_disjoint(inputs, desc.seq_lens.data != nullptr ? 1 : 0, outputs, 2);
}

}  // namespace

args_t default_args() {
  args_t args{};
  args.struct_size = sizeof(args);
  args.batch = -1;
  args.block_size = 64;
  args.fixed_overhead = 5;
  args.layout = NSAMETA_MLA_SCHED_META;
  return args;
}

nsameta_status check(const args_t* caller, nsameta_device device, desc_t* desc) {
  args_t storage;
  const args_t* found = nullptr;
  auto status = read_args("mla_schedule", sizeof(args_t), default_args, caller, &storage, &found);
  if (status != NSAMETA_OK) return status;
  const args_t& args = *found;
  *desc = {};
  status = check_scalars(args);
  if (status == NSAMETA_OK) status = check_lengths(args, device, desc);
  if (status == NSAMETA_OK) status = check_parts(args.parts, device, desc);
  if (status == NSAMETA_OK) status = check_num_splits(args.num_splits, device, desc);
  if (status != NSAMETA_OK) return status;
  desc->block_size = args.block_size;
  desc->fixed_overhead = args.fixed_overhead;
  desc->constant_keys = args.topk;
  desc->min_keys = args.min_keys;
  desc->layout = args.layout;
  return check_overlap(args, *desc);
}

}  // namespace nsameta::mla_schedule
