// A C++17 program that uses the wrapper, and every one of its types.
#include <cstdio>
#include <vector>

#include "nsameta/nsameta.hpp"

int main() {
  try {
    const nsameta::context context(nsameta::kCpuDevice, "cpu");
    const nsameta::stream stream(context);
    const nsameta::device_buffer memory(context, 5 * sizeof(std::int32_t));
    const std::vector<std::int32_t> lens{3, 4};
    std::vector<std::int32_t> cu(3);
    auto* const data = memory.as<std::int32_t>();
    context.copy_to_device(data, lens.data(), 2 * sizeof(std::int32_t));
    nsameta::build_metadata_args args;
    args.topk = 2048;
    args.seq_lens = nsameta::make_tensor(data, 2, context.device());
    args.out.cu_seqlens_k = nsameta::make_tensor(data + 2, 3, context.device());
    nsameta::plan(context, args).run(stream.get());
    context.copy_to_host(cu.data(), data + 2, 3 * sizeof(std::int32_t), stream.get());
    try {
      const nsameta::graph graph(context, stream, [] {});
      return 1;  // the CPU has no graphs
    } catch (const nsameta::error& e) {
      if (e.status() != NSAMETA_UNSUPPORTED) throw;
    }
    return cu == std::vector<std::int32_t>{0, 3, 7} ? 0 : 1;
  } catch (const nsameta::error& e) {
    std::fprintf(stderr, "%s: %s\n", nsameta_status_name(e.status()), e.what());
    return 1;
  }
}
