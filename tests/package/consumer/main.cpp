// Uses an installed nsameta the way another project does: both headers, one call, and its values.
#include <nsameta/backend.h>
#include <nsameta/nsameta.h>

#include <cstdint>
#include <cstdio>
#include <nsameta/nsameta.hpp>

namespace {

nsameta_tensor view(int32_t* data, int64_t count) {
  nsameta_tensor tensor{};
  tensor.data = data;
  tensor.shape[0] = count;
  tensor.strides[0] = 1;
  tensor.ndim = 1;
  tensor.dtype = NSAMETA_INT32;
  tensor.device = {NSAMETA_DEVICE_CPU, 0};
  return tensor;
}

}  // namespace

int main() {
  if (nsameta_abi_version() != NSAMETA_ABI_VERSION) return 1;
  nsameta_context* context = nullptr;
  if (nsameta_context_create({NSAMETA_DEVICE_CPU, 0}, "cpu", &context) != NSAMETA_OK) {
    std::printf("%s\n", nsameta_last_error_message());
    return 2;
  }
  int32_t seq_lens[] = {5, 3};
  int32_t extend_seq_lens[] = {2, 1};
  int32_t seqlens_expanded[3] = {};
  nsameta_build_metadata_args args;
  nsameta_build_metadata_args_init(&args);
  args.mode = NSAMETA_MODE_DRAFT_EXTEND;
  args.topk = 4;
  args.seq_lens = view(seq_lens, 2);
  args.extend_seq_lens = view(extend_seq_lens, 2);
  args.out.seqlens_expanded = view(seqlens_expanded, 3);
  const nsameta_status status = nsameta_build_metadata(context, &args, nullptr);
  nsameta_context_destroy(context);
  std::printf("nsameta %s: %s %d %d %d\n", nsameta_version_string(), nsameta_status_name(status), seqlens_expanded[0],
              seqlens_expanded[1], seqlens_expanded[2]);
  const bool as_expected = seqlens_expanded[0] == 4 && seqlens_expanded[1] == 5 && seqlens_expanded[2] == 3;
  return status == NSAMETA_OK && as_expected ? 0 : 3;
}
