#include "backends/cpu/tails.h"

#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>

#include <algorithm>

#include "backends/cpu/token_outputs.h"

namespace nsameta::cpu {
namespace {

void stream_value(const loops& loops, int32_t* to, int64_t num, int32_t value) { loops.stream_int32(to, num, value); }
void stream_value(const loops& loops, int64_t* to, int64_t num, int32_t value) { loops.stream_int64(to, num, value); }

template <typename Element>
void write_token_tail(const loops& loops, const nsameta_output& output, int64_t begin, int32_t tail,
                      const policy& policy) {
  auto* data = static_cast<Element*>(output.data);
  Element value = 0;
  if (tail == NSAMETA_TAIL_LAST) value = data[begin - 1];
  if (tail == NSAMETA_TAIL_MINUS_ONE) value = -1;
  const int64_t bytes = (output.capacity - begin) * static_cast<int64_t>(sizeof(Element));
  if (bytes < policy.min_parallel_bytes) {
    std::fill(data + begin, data + output.capacity, value);
    return;
  }
  const auto grain = static_cast<size_t>(std::max<int64_t>(policy.min_bytes_per_range, 1));
  const bool streams = streams_tokens(policy, bytes);
  tbb::parallel_for(tbb::blocked_range<int64_t>(begin, output.capacity, grain), [&](const auto& range) {
    if (!streams) {
      std::fill(data + range.begin(), data + range.end(), value);
    } else {
      stream_value(loops, data + range.begin(), range.end() - range.begin(), static_cast<int32_t>(value));
      finish_streaming();
    }
  });
}

// Elements [begin, end), which in a cu output are one further on.
void write_request_tail(const nsameta_output& output, int64_t begin, int64_t end, int32_t tail) {
  if (output.data == nullptr) return;
  auto* data = static_cast<int32_t*>(output.data);
  int32_t value = tail == NSAMETA_TAIL_MINUS_ONE ? -1 : 0;
  if (tail == NSAMETA_TAIL_LAST && begin > 0) value = data[begin - 1];
  std::fill(data + begin, data + end, value);
}

void write_row_tail(const nsameta_output& output, int64_t begin, int64_t end, int32_t tail) {
  if (output.data == nullptr) return;
  auto* data = static_cast<int32_t*>(output.data);
  int32_t value = tail == NSAMETA_TAIL_MINUS_ONE ? -1 : 0;
  if (tail == NSAMETA_TAIL_LAST && begin > 0) value = data[(begin - 1) * output.row_stride];
  for (int64_t row = begin; row < end; ++row) std::fill_n(data + row * output.row_stride, output.num_columns, value);
}

}  // namespace

void write_token_tails(const request_source& source, int64_t num_tokens, const policy& policy) {
  const nsameta_build_metadata_desc& desc = source.desc;
  if (desc.tail == NSAMETA_TAIL_KEEP || num_tokens == 0) return;
  for_each_token_output(desc, [&](const nsameta_output& output, int num_leading) {
    const int64_t end = num_tokens + num_leading;
    if (end >= output.capacity) return;
    if (output.dtype == NSAMETA_INT64) {
      write_token_tail<int64_t>(source.loops, output, end, desc.tail, policy);
    } else {
      write_token_tail<int32_t>(source.loops, output, end, desc.tail, policy);
    }
  });
}

void write_request_tails(const request_source& source) {
  const nsameta_build_metadata_desc& desc = source.desc;
  const int64_t true_batch = source.batch;
  if (desc.tail == NSAMETA_TAIL_KEEP || true_batch == desc.batch) return;
  for (int i = 0; i < desc.num_sets; ++i) {
    const nsameta_output_set& set = desc.sets[i];
    write_request_tail(set.cache_seqlens, true_batch, desc.batch, desc.tail);
    write_request_tail(set.cu_seqlens_k, true_batch + 1, int64_t{desc.batch} + 1, desc.tail);
    write_request_tail(set.cu_seqlens_q, true_batch + 1, int64_t{desc.batch} + 1, desc.tail);
    write_row_tail(set.paged_mqa_ctx_lens_2d, true_batch, desc.batch, desc.tail);
  }
}

}  // namespace nsameta::cpu
