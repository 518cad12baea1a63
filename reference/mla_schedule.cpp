#include "reference/mla_schedule.h"

#include <algorithm>

namespace nsameta::reference {
namespace {

struct request {
  int64_t keys;
  int64_t num_blocks;
  int64_t done = 0;  // blocks that some part has
  int num_parts = 0;
};

std::vector<request> make_requests(const mla_inputs& inputs, mla_schedule* result) {
  std::vector<request> requests;
  for (const int64_t stored : inputs.seq_lens) {
    const auto length = static_cast<int32_t>(static_cast<uint32_t>(static_cast<uint64_t>(stored)));
    if (length < 0 && inputs.topk == 0) result->negative_requests.push_back(static_cast<int32_t>(requests.size()));
    const int64_t keys = inputs.topk > 0 ? inputs.topk : std::max<int64_t>(length, inputs.min_keys);
    int64_t blocks = 0;
    while (blocks * inputs.block_size < keys) ++blocks;
    if (inputs.layout != NSAMETA_MLA_TOKENS) blocks = std::max<int64_t>(blocks, 1);
    requests.push_back({keys, blocks});
  }
  return requests;
}

}  // namespace

mla_schedule build_mla_schedule(const mla_inputs& inputs) {
  mla_schedule result;
  const bool in_tokens = inputs.layout == NSAMETA_MLA_TOKENS;
  const bool is_sched_meta = inputs.layout == NSAMETA_MLA_SCHED_META;
  result.num_words = is_sched_meta ? 7 : 5;
  auto requests = make_requests(inputs, &result);
  int64_t total = 0;
  for (const auto& r : requests) total += r.num_blocks + inputs.fixed_overhead;
  int64_t payload = inputs.fixed_overhead;
  for (int64_t covered = 0; covered < total; covered += inputs.num_parts) ++payload;

  const int64_t batch = static_cast<int64_t>(requests.size());
  const auto place = [&](int64_t block) { return in_tokens ? block * inputs.block_size : block; };
  int64_t now = 0;
  for (int part = 0; part < inputs.num_parts; ++part) {
    const bool is_idle = now == batch;
    const int64_t first = now;
    const int64_t begin = is_idle ? 0 : requests[static_cast<size_t>(now)].done;
    const int split = is_idle ? 0 : requests[static_cast<size_t>(now)].num_parts;
    int64_t remain = payload;
    bool ends_inside = false;
    while (now < batch) {
      request& r = requests[static_cast<size_t>(now)];
      const int64_t rest = r.num_blocks - r.done;
      if (remain >= rest + inputs.fixed_overhead) {
        remain -= rest + inputs.fixed_overhead;
        ++r.num_parts;
        ++now;
        continue;
      }
      if (remain > inputs.fixed_overhead) {
        r.done += remain - inputs.fixed_overhead;
        ++r.num_parts;
      }
      ends_inside = r.done > 0;
      break;
    }
    const int64_t last = ends_inside ? now : now - 1;
    int64_t end = 0;
    if (ends_inside) {
      end = place(requests[static_cast<size_t>(now)].done);
    } else if (now > 0) {
      const request& r = requests[static_cast<size_t>(now - 1)];
      end = in_tokens ? r.keys : r.keys == 0 ? 0 : r.num_blocks;
    }
    const bool is_one = first == last;
    const bool begins_inside = begin > 0;
    std::array<int64_t, 8> words{first, place(begin), last, end, split, 0, 0, 0};
    if (is_sched_meta) {
      words = {first,
               last,
               begin,
               end,
               split,
               begins_inside || (is_one && ends_inside),
               ends_inside || (is_one && begins_inside),
               0};
    }
    auto& row = result.parts.emplace_back();
    std::transform(words.begin(), words.end(), row.begin(), [](int64_t word) { return static_cast<int32_t>(word); });
  }
  result.num_splits.push_back(0);
  for (const auto& r : requests) result.num_splits.push_back(result.num_splits.back() + r.num_parts);
  return result;
}

}  // namespace nsameta::reference
