// Says what the library does in the environment that it was started with. First argument: what to do.
//   list                      every backend
//   select TYPE               what a context for device 0 of that memory would use
//   run TYPE [BACKEND]        makes that context, runs decode on lengths 3 and 4, prints cu_seqlens_k and total_tokens
// Exit status 1, and the message, when the library refuses.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "nsameta/nsameta.hpp"

namespace {

void list() {
  for (const auto& b : nsameta::backends()) {
    std::printf("%s: %s\n", b.name.c_str(), b.usable ? "usable" : b.reason.c_str());
  }
}

void select(nsameta_device device) {
  const auto chosen = nsameta::select(device);
  std::printf("%s%s: %s\n", chosen.backend.empty() ? "none" : chosen.backend.c_str(), chosen.staged ? " staged" : "",
              chosen.reason.c_str());
}

void run(nsameta_device device, const std::string& backend) {
  const nsameta::context context(device, backend);
  const std::vector<int32_t> lens{3, 4};
  std::vector<int32_t> out(4);
  const nsameta::device_buffer memory(context, 6 * sizeof(int32_t));
  auto* const data = memory.as<int32_t>();
  context.copy_to_device(data, lens.data(), 2 * sizeof(int32_t));
  nsameta::build_metadata_args args;
  args.topk = 2048;
  args.seq_lens = nsameta::make_tensor(data, 2, device);
  args.out.cu_seqlens_k = nsameta::make_tensor(data + 2, 3, device);
  args.out.total_tokens = nsameta::make_tensor(data + 5, 1, device);
  context.build_metadata(args);
  context.copy_to_host(out.data(), data + 2, 4 * sizeof(int32_t));
  std::printf("%s%s: %d %d %d, %d\n", context.backend(), context.is_staged() ? " staged" : "", out[0], out[1], out[2],
              out[3]);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "list";
  const nsameta_device device{argc > 2 ? std::atoi(argv[2]) : NSAMETA_DEVICE_CPU, 0};
  try {
    if (what == "list") list();
    if (what == "select") select(device);
    if (what == "run") run(device, argc > 3 ? argv[3] : "");
  } catch (const nsameta::error& e) {
    std::printf("%s: %s\n", nsameta_status_name(e.status()), e.what());
    return 1;
  }
  return 0;
}
