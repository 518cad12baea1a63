/* A C program that uses the library: draft-extend of three requests on the CPU, by plan and by preset. */
#include <stdio.h>
#include <string.h>

#include "nsameta/device.h"
#include "nsameta/nsameta.h"

enum { kNumRequests = 3, kNumTokens = 6 };

static nsameta_tensor view(int32_t* data, int64_t size) {
  nsameta_tensor tensor;
  memset(&tensor, 0, sizeof(tensor));
  tensor.data = data;
  tensor.shape[0] = size;
  tensor.strides[0] = 1;
  tensor.ndim = 1;
  tensor.dtype = NSAMETA_INT32;
  tensor.device.type = NSAMETA_DEVICE_CPU;
  return tensor;
}

static int fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, nsameta_last_error_message());
  return 1;
}

static int compare(const char* what, const int32_t* got, const int32_t* wanted) {
  for (int i = 0; i < kNumTokens; ++i) {
    if (got[i] != wanted[i]) {
      fprintf(stderr, "%s[%d]=%d, wanted %d\n", what, i, (int)got[i], (int)wanted[i]);
      return 1;
    }
  }
  return 0;
}

static int run(const nsameta_context* context) {
  static const int32_t kExpanded[kNumTokens] = {9, 10, 0, 1, 2, 7};
  static const int32_t kClamped[kNumTokens] = {6, 6, 0, 1, 2, 6};
  int32_t seq_lens[kNumRequests] = {10, 2, 7};
  int32_t extend_seq_lens[kNumRequests] = {2, 3, 1};
  int32_t expanded[kNumTokens] = {0};
  int32_t clamped[kNumTokens] = {0};
  nsameta_plan* plan = NULL;
  nsameta_build_metadata_args args;
  nsameta_build_metadata_args_init(&args);
  args.mode = NSAMETA_MODE_DRAFT_EXTEND;
  args.topk = 6;
  args.seq_lens = view(seq_lens, kNumRequests);
  args.extend_seq_lens = view(extend_seq_lens, kNumRequests);
  args.out.seqlens_expanded = view(expanded, kNumTokens);
  args.out.nsa_cache_seqlens = view(clamped, kNumTokens);
  if (nsameta_plan_create(context, NSAMETA_OP_BUILD_METADATA, &args, &plan) != NSAMETA_OK) return fail("plan_create");
  const nsameta_status status = nsameta_plan_run(plan, -1, -1, -1, NULL);
  nsameta_plan_destroy(plan);
  if (status != NSAMETA_OK) return fail("plan_run");
  if (compare("expanded", expanded, kExpanded) || compare("clamped", clamped, kClamped)) return 1;
  memset(expanded, 0, sizeof(expanded));
  if (nsameta_fill_draft_extend_metadata_fused_simple(context, &args.extend_seq_lens, &args.seq_lens, 6,
                                                      &args.out.seqlens_expanded, &args.out.nsa_cache_seqlens,
                                                      NULL) != NSAMETA_OK) {
    return fail("preset");
  }
  return compare("expanded by preset", expanded, kExpanded);
}

int main(void) {
  const nsameta_device device = {NSAMETA_DEVICE_CPU, 0};
  nsameta_context* context = NULL;
  if (nsameta_abi_version() != NSAMETA_ABI_VERSION) return fail("abi_version");
  if (nsameta_context_create(device, "cpu", &context) != NSAMETA_OK) return fail("context_create");
  const int result = run(context);
  nsameta_context_destroy(context);
  return result;
}
