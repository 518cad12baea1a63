#include "backends/cpu/topk_plan.h"

#include <algorithm>
#include <span>

namespace nsameta::cpu {
namespace {

constexpr int kMaxTokens = 512;
constexpr int32_t kLeastThreshold = 32'768;

struct candidate {
  int32_t threshold;
  int32_t most_above;  // tokens above the threshold that the clusters serve well
};
constexpr candidate kHopper[] = {{65'536, 30},  {98'304, 45},   {131'072, 60},
                                 {196'608, 80}, {262'144, 112}, {393'216, 128}};
constexpr candidate kBlackwell[] = {{32'768, 48},   {131'072, 66},  {163'840, 99}, {196'608, 132},
                                    {262'144, 198}, {393'216, 231}, {524'288, 264}};

// The visible lengths of all tokens.
struct token_lengths {
  int32_t visible[kMaxTokens];
  int num = 0;

  void add(const request_source& source, const request_block& block) {
    for (int i = 0; i < block.size; ++i) {
      for (int32_t j = 0; j < block.q[i]; ++j) {
        visible[num++] = formula::visible(block.kv[i], block.q[i], j, source.clamp);
      }
    }
  }
  int num_above(int32_t threshold) const {
    return static_cast<int>(std::count_if(visible, visible + num, [&](int32_t x) { return x > threshold; }));
  }
};

// From the largest candidate down, as long as not too many tokens are above; the largest in any case.
int32_t choose_threshold(const token_lengths& lengths, std::span<const candidate> candidates) {
  int32_t threshold = candidates.back().threshold;
  for (auto it = candidates.rbegin(); it != candidates.rend(); ++it) {
    if (lengths.num_above(it->threshold) > it->most_above) break;
    threshold = it->threshold;
  }
  return std::max(threshold, kLeastThreshold);
}

void write_plans(const nsameta_build_metadata_desc& desc, const token_lengths& lengths) {
  const auto candidates = desc.topk_plan_arch == NSAMETA_TOPK_PLAN_HOPPER ? std::span<const candidate>(kHopper)
                                                                          : std::span<const candidate>(kBlackwell);
  const int32_t threshold =
      desc.topk_plan_threshold >= 0 ? desc.topk_plan_threshold : choose_threshold(lengths, candidates);
  const int count = lengths.num_above(threshold);
  for (int set = 0; set < desc.num_sets; ++set) {
    const nsameta_output& output = desc.sets[set].topk_plan;
    if (output.data == nullptr) continue;
    auto* rows = static_cast<int32_t*>(output.data);
    const int64_t num_rows = std::min<int64_t>(count + 1, output.capacity);
    rows[0] = threshold;
    rows[1] = count;
    int64_t row = 1;
    for (int t = 0; row < num_rows; ++t) {
      if (lengths.visible[t] <= threshold) continue;
      rows[2 * row] = t;
      rows[2 * row + 1] = lengths.visible[t];
      ++row;
    }
  }
}

}  // namespace

bool is_planned(const nsameta_build_metadata_desc& desc, int64_t num_tokens) {
  return num_tokens > desc.topk_plan_clusters && num_tokens <= kMaxTokens;
}

void write_topk_plans(const request_source& source, const request_block& block) {
  if (!is_planned(source.desc, block.num_tokens)) return;
  token_lengths lengths;
  lengths.add(source, block);
  write_plans(source.desc, lengths);
}

void write_topk_plans(const request_source& source, const balance& balance) {
  if (!is_planned(source.desc, balance.num_tokens())) return;
  token_lengths lengths;
  for (int chunk = 0; chunk < balance.num_chunks(); ++chunk) {
    const running_sums& before = balance.sums_before(chunk);
    if (before.tokens == balance.sums_before(chunk + 1).tokens) continue;
    for_each_block(source, balance.chunk_begin(chunk), balance.chunk_begin(chunk + 1), before,
                   [&](const request_block& block, uint64_t) { lengths.add(source, block); });
  }
  write_plans(source.desc, lengths);
}

}  // namespace nsameta::cpu
