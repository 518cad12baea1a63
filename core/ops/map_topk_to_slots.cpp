#include "core/ops/map_topk_to_slots.h"

#include <cinttypes>

#include "core/args.h"
#include "core/status.h"
#include "core/tensor.h"

namespace nsameta::map_topk_to_slots {
namespace {

using args_t = nsameta_map_topk_to_slots_args;
using desc_t = nsameta_map_topk_to_slots_desc;

nsameta_status check_required(const char* name, const nsameta_tensor& tensor) {
  return is_present(tensor) ? NSAMETA_OK : fail(NSAMETA_INVALID_ARGUMENT, "%s=NULL: map_topk_to_slots needs it", name);
}

nsameta_status check_int32(const char* name, const nsameta_tensor& tensor) {
  if (tensor.dtype == NSAMETA_INT32) return NSAMETA_OK;
  return fail(NSAMETA_INVALID_ARGUMENT, "%s: dtype=int64 must be int32", name);
}

// A vector of at least `needed` elements.
nsameta_status check_vector(const char* name, const nsameta_tensor& tensor, nsameta_device device, int64_t needed,
                            const char* needed_name, nsameta_lengths* lengths) {
  if (const auto status = check_tensor(name, tensor, 1, device); status != NSAMETA_OK) return status;
  if (tensor.shape[0] < needed) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s: shape[0]=%" PRId64 " must be at least %s=%" PRId64, name,
                tensor.shape[0], needed_name, needed);
  }
  *lengths = {tensor.data, tensor.strides[0], tensor.dtype, 0};
  return NSAMETA_OK;
}

nsameta_status check_int32_vector(const char* name, const nsameta_tensor& tensor, nsameta_device device, int64_t needed,
                                  const char* needed_name, nsameta_lengths* lengths) {
  const auto status = check_vector(name, tensor, device, needed, needed_name, lengths);
  return status == NSAMETA_OK ? check_int32(name, tensor) : status;
}

// topk_indices or slots.
nsameta_status check_rows(const char* name, const nsameta_tensor& tensor, nsameta_device device) {
  auto status = check_required(name, tensor);
  if (status == NSAMETA_OK) status = check_tensor(name, tensor, 2, device);
  if (status == NSAMETA_OK) status = check_int32(name, tensor);
  if (status != NSAMETA_OK || tensor.shape[1] <= 1 || tensor.strides[1] == 1) return status;
  return fail(NSAMETA_INVALID_ARGUMENT, "%s: strides[1]=%" PRId64 " must be 1", name, tensor.strides[1]);
}

nsameta_status check_topk(const args_t& args, nsameta_device device, desc_t* desc) {
  const nsameta_tensor& topk = args.topk_indices;
  const nsameta_tensor& slots = args.slots;
  auto status = check_rows("topk_indices", topk, device);
  if (status == NSAMETA_OK) status = check_rows("slots", slots, device);
  if (status == NSAMETA_OK) status = check_range("shape[0] of topk_indices", topk.shape[0], 0, INT32_MAX);
  if (status == NSAMETA_OK) status = check_range("shape[1] of topk_indices", topk.shape[1], 0, INT32_MAX);
  if (status != NSAMETA_OK) return status;
  for (int d = 0; d < 2; ++d) {
    if (slots.shape[d] == topk.shape[d]) continue;
    return fail(NSAMETA_INVALID_ARGUMENT, "slots: shape[%d]=%" PRId64 " must be that of topk_indices, %" PRId64, d,
                slots.shape[d], topk.shape[d]);
  }
  if (slots.shape[0] > 1 && step_of(slots, 0) < slots.shape[1]) {
    return fail(NSAMETA_INVALID_ARGUMENT, "slots: strides[0]=%" PRId64 " makes rows of %" PRId64 " columns alias",
                slots.strides[0], slots.shape[1]);
  }
  desc->topk_indices = static_cast<const int32_t*>(topk.data);
  desc->slots = static_cast<int32_t*>(slots.data);
  desc->topk_row_stride = topk.strides[0];
  desc->slots_row_stride = slots.strides[0];
  desc->num_tokens = static_cast<int32_t>(topk.shape[0]);
  desc->num_topk = static_cast<int32_t>(topk.shape[1]);
  return NSAMETA_OK;
}

nsameta_status check_num_valid(const nsameta_tensor& tensor, nsameta_device device, desc_t* desc) {
  nsameta_lengths lengths{};
  const auto status =
      check_int32_vector("num_valid", tensor, device, desc->num_tokens, "shape[0] of topk_indices", &lengths);
  if (status != NSAMETA_OK) return status;
  if (tensor.shape[0] > 1 && tensor.strides[0] != 1) {
    return fail(NSAMETA_INVALID_ARGUMENT, "num_valid: strides[0]=%" PRId64 " must be 1", tensor.strides[0]);
  }
  desc->num_valid = static_cast<int32_t*>(tensor.data);
  return NSAMETA_OK;
}

// req_to_token and how a token finds its row in it.
nsameta_status check_requests(const args_t& args, nsameta_device device, desc_t* desc) {
  auto status = check_matrix("req_to_token", args.req_to_token, device, &desc->table);
  if (status != NSAMETA_OK) return status;
  if (!is_present(args.req_pool_indices)) {
    return fail(NSAMETA_INVALID_ARGUMENT, "req_pool_indices=NULL: req_to_token needs it");
  }
  const bool has_map = is_present(args.token_to_batch);
  if (has_map == is_present(args.cu_seqlens_q)) {
    return fail(NSAMETA_INVALID_ARGUMENT, "token_to_batch and cu_seqlens_q are both %s: req_to_token needs one of them",
                has_map ? "there" : "NULL");
  }
  status = check_vector("req_pool_indices", args.req_pool_indices, device, 0, "", &desc->req_pool_indices);
  const int64_t num_requests = args.req_pool_indices.shape[0];
  if (status == NSAMETA_OK) status = check_range("shape[0] of req_pool_indices", num_requests, 0, INT32_MAX - 1);
  if (status != NSAMETA_OK) return status;
  desc->num_requests = static_cast<int32_t>(num_requests);
  if (has_map) {
    return check_int32_vector("token_to_batch", args.token_to_batch, device, desc->num_tokens,
                              "shape[0] of topk_indices", &desc->token_to_batch);
  }
  return check_int32_vector("cu_seqlens_q", args.cu_seqlens_q, device, num_requests + 1,
                            "shape[0] + 1 of req_pool_indices", &desc->cu_seqlens_q);
}

nsameta_status check_page_table(const args_t& args, nsameta_device device, desc_t* desc) {
  const auto status = check_matrix("page_table", args.page_table, device, &desc->table);
  if (status != NSAMETA_OK || args.page_table.shape[0] >= desc->num_tokens) return status;
  return fail(NSAMETA_INVALID_ARGUMENT,
              "page_table: shape[0]=%" PRId64 " must be at least shape[0] of topk_indices=%" PRId32,
              args.page_table.shape[0], desc->num_tokens);
}

nsameta_status check_flattened(const args_t& args, nsameta_device device, desc_t* desc) {
  nsameta_lengths vector{};
  const auto status = check_int32_vector("flattened", args.flattened, device, 0, "", &vector);
  desc->table = {static_cast<const int32_t*>(vector.data), 1, args.flattened.shape[0], 0, vector.stride};
  return status;
}

nsameta_status check_table(const args_t& args, nsameta_device device, desc_t* desc) {
  const bool by_request = is_present(args.req_to_token);
  const bool by_token = is_present(args.page_table);
  const bool is_flattened = is_present(args.flattened);
  if (by_request + by_token + is_flattened > 1) {
    return fail(NSAMETA_INVALID_ARGUMENT, "%s excludes %s: at most one table can be looked up",
                by_request ? "req_to_token" : "page_table", by_token && by_request ? "page_table" : "flattened");
  }
  const struct {
    const char* name;
    const nsameta_tensor& tensor;
  } of_request[] = {{"req_pool_indices", args.req_pool_indices},
                    {"token_to_batch", args.token_to_batch},
                    {"cu_seqlens_q", args.cu_seqlens_q}};
  for (const auto& input : of_request) {
    if (by_request || !is_present(input.tensor)) continue;
    return fail(NSAMETA_INVALID_ARGUMENT, "%s must be absent without req_to_token", input.name);
  }
  desc->source = by_request     ? NSAMETA_SLOTS_OF_REQUEST
                 : by_token     ? NSAMETA_SLOTS_OF_TOKEN
                 : is_flattened ? NSAMETA_SLOTS_FLATTENED
                                : NSAMETA_SLOTS_ARE_INDICES;
  switch (desc->source) {
    case NSAMETA_SLOTS_OF_REQUEST: return check_requests(args, device, desc);
    case NSAMETA_SLOTS_OF_TOKEN: return check_page_table(args, device, desc);
    case NSAMETA_SLOTS_FLATTENED: return check_flattened(args, device, desc);
    default: return NSAMETA_OK;
  }
}

// Whether slots are the very cells of topk_indices.
bool is_in_place(const args_t& args) {
  return args.slots.data == args.topk_indices.data &&
         (args.slots.shape[0] <= 1 || args.slots.strides[0] == args.topk_indices.strides[0]);
}

nsameta_status check_overlap(const args_t& args) {
  byte_range inputs[8];
  byte_range outputs[2];
  int num_inputs = 0;
  int num_outputs = 0;
  const auto add_input = [&](const char* name, const nsameta_tensor& tensor) {
    if (is_present(tensor)) inputs[num_inputs++] = span_of(name, tensor);
  };
  if (!is_in_place(args)) add_input("topk_indices", args.topk_indices);
  add_input("offset", args.offset);
  add_input("req_to_token", args.req_to_token);
  add_input("req_pool_indices", args.req_pool_indices);
  add_input("token_to_batch", args.token_to_batch);
  add_input("cu_seqlens_q", args.cu_seqlens_q);
  add_input("page_table", args.page_table);
  add_input("flattened", args.flattened);
  outputs[num_outputs++] = span_of("slots", args.slots);
  if (is_present(args.num_valid)) outputs[num_outputs++] = span_of("num_valid", args.num_valid);
  return check_disjoint(inputs, num_inputs, outputs, num_outputs);
}

}  // namespace

args_t default_args() {
  args_t args{};
  args.struct_size = sizeof(args);
  return args;
}

nsameta_status check(const args_t* caller, nsameta_device device, desc_t* desc) {
  args_t storage;
  const args_t* found = nullptr;
  auto status = read_args("map_topk_to_slots", sizeof(args_t), default_args, caller, &storage, &found);
  if (status != NSAMETA_OK) return status;
  const args_t& args = *found;
  *desc = {};
  status = check_topk(args, device, desc);
  if (status == NSAMETA_OK && is_present(args.offset)) {
    status =
        check_int32_vector("offset", args.offset, device, desc->num_tokens, "shape[0] of topk_indices", &desc->offset);
  }
  if (status == NSAMETA_OK && is_present(args.num_valid)) status = check_num_valid(args.num_valid, device, desc);
  if (status == NSAMETA_OK) status = check_table(args, device, desc);
  return status == NSAMETA_OK ? check_overlap(args) : status;
}

}  // namespace nsameta::map_topk_to_slots
