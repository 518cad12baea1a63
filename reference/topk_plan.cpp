// SGLang 0.5.23's routing plan of its cluster top-k, by counting.
#include <algorithm>

#include "reference/parts.h"

namespace nsameta::reference {
namespace {

constexpr int64_t kMaxTokens = 512;
constexpr int64_t kLeastThreshold = 32'768;

struct candidate {
  int64_t threshold;
  int64_t cap;
};

const std::vector<candidate>& candidates_of(int arch) {
  static const std::vector<candidate> hopper{{65'536, 30},  {98'304, 45},   {131'072, 60},
                                             {196'608, 80}, {262'144, 112}, {393'216, 128}};
  static const std::vector<candidate> blackwell{{32'768, 48},   {131'072, 66},  {163'840, 99}, {196'608, 132},
                                                {262'144, 198}, {393'216, 231}, {524'288, 264}};
  return arch == NSAMETA_TOPK_PLAN_BLACKWELL ? blackwell : hopper;
}

int64_t num_above(const std::vector<int64_t>& lengths, int64_t threshold) {
  return std::count_if(lengths.begin(), lengths.end(), [&](int64_t length) { return length > threshold; });
}

int64_t choose_threshold(const std::vector<int64_t>& lengths, int arch) {
  const auto& candidates = candidates_of(arch);
  int64_t chosen = candidates.back().threshold;
  for (size_t i = candidates.size(); i-- > 0;) {
    if (num_above(lengths, candidates[i].threshold) > candidates[i].cap) break;
    chosen = candidates[i].threshold;
  }
  return std::max(chosen, kLeastThreshold);
}

}  // namespace

void add_topk_plan(const metadata_inputs& in, const std::vector<request>& requests, metadata* out) {
  out->topk_plan.clear();
  if (in.plan_rows == 0) return;
  if (out->total_tokens <= in.topk_plan_clusters || out->total_tokens > kMaxTokens) return;
  std::vector<int64_t> lengths;
  for (const request& r : requests) {
    for (int64_t j = 0; j < r.q; ++j) lengths.push_back(visible_of(in, r, j));
  }
  const int64_t threshold =
      in.topk_plan_threshold >= 0 ? in.topk_plan_threshold : choose_threshold(lengths, in.topk_plan_arch);
  out->topk_plan.push_back(cut(threshold));
  out->topk_plan.push_back(cut(num_above(lengths, threshold)));
  for (size_t t = 0; t < lengths.size(); ++t) {
    if (lengths[t] <= threshold) continue;
    out->topk_plan.push_back(cut(static_cast<int64_t>(t)));
    out->topk_plan.push_back(cut(lengths[t]));
  }
}

}  // namespace nsameta::reference
