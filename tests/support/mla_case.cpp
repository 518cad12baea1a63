#include "tests/support/mla_case.h"

#include <algorithm>
#include <utility>

namespace nsameta::test {
namespace {

constexpr int64_t kRowWords = 8;

int64_t batch_of(const mla_case& c) { return static_cast<int64_t>(c.inputs.seq_lens.size()); }

}  // namespace

bound_mla::bound_mla(nsameta_context* context, void* stream, mla_case c, device_memory* memory)
    : context_(context), case_(std::move(c)), block_(context, stream, memory) {
  const int64_t batch = batch_of(case_);
  const int64_t extent = batch == 0 ? 0 : (batch - 1) * case_.stride + 1;
  auto& image = block_.image();
  lengths_ = image.add("seq_lens", case_.dtype == NSAMETA_INT64 ? 8 : 4, extent, 1);
  parts_ = image.add("parts", 4, case_.inputs.num_parts * kRowWords, 3);
  splits_ = image.add("num_splits", 4, batch + 1 + case_.slack, 1);
  block_.allocate();
  make_args();
}

nsameta_tensor bound_mla::vector_tensor(int region, int64_t size, int64_t stride, nsameta_dtype dtype) const {
  return {.data = block_.address(region, 0, 4),
          .shape = {size, 0},
          .strides = {stride, 0},
          .ndim = 1,
          .dtype = dtype,
          .device = nsameta_context_device(context_)};
}

void bound_mla::make_args() {
  const auto& in = case_.inputs;
  nsameta_mla_schedule_args_init(&args_);
  args_.block_size = in.block_size;
  args_.fixed_overhead = in.fixed_overhead;
  args_.topk = in.topk;
  args_.min_keys = in.min_keys;
  args_.layout = in.layout;
  if (case_.has_lengths) {
    args_.seq_lens = vector_tensor(lengths_, batch_of(case_), case_.stride, case_.dtype);
  } else {
    args_.batch = static_cast<int32_t>(batch_of(case_));
  }
  args_.parts = vector_tensor(parts_, in.num_parts, kRowWords, NSAMETA_INT32);
  args_.parts.ndim = 2;
  args_.parts.shape[1] = kRowWords;
  args_.parts.strides[1] = 1;
  args_.num_splits = vector_tensor(splits_, batch_of(case_) + 1 + case_.slack, 1, NSAMETA_INT32);
}

void bound_mla::reset() {
  // Other lengths of the same kind: a replay that still used the old ones would show.
  std::reverse(case_.inputs.seq_lens.begin(), case_.inputs.seq_lens.end());
  auto& image = block_.image();
  image.poison(++salt_ * 0x01000193U);
  for (int64_t i = 0; i < batch_of(case_); ++i) {
    image.set(lengths_, i * case_.stride, case_.inputs.seq_lens[static_cast<size_t>(i)]);
  }
  block_.upload();
}

testing::AssertionResult bound_mla::holds(int64_t count) {
  auto inputs = case_.inputs;
  if (count >= 0) inputs.seq_lens.resize(static_cast<size_t>(count));
  const auto expected = case_.by_hand ? *case_.by_hand : reference::build_mla_schedule(inputs);
  memory_image image = block_.image();
  int64_t place = 0;
  for (const auto& row : expected.parts) {
    for (int word = 0; word < expected.num_words; ++word) {
      image.set(parts_, place + word, row[static_cast<size_t>(word)]);
    }
    place += kRowWords;
  }
  place = 0;
  for (const int32_t splits : expected.num_splits) image.set(splits_, place++, splits);
  auto result = block_.equals(image);
  if (!result) return result;
  std::vector<nsameta_fault> faults;
  for (const int32_t request : expected.negative_requests) {
    const auto stored = static_cast<uint64_t>(inputs.seq_lens[static_cast<size_t>(request)]);
    faults.push_back({NSAMETA_CHECK_NEGATIVE_KV, request, static_cast<int32_t>(static_cast<uint32_t>(stored))});
  }
  return take_fault(context_, faults);
}

}  // namespace nsameta::test
