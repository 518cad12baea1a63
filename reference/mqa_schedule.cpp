// DeepGEMM's paged-MQA schedule: the lengths laid end to end in segments of 256 keys, and where each SM begins in them.
#include <algorithm>

#include "reference/parts.h"

namespace nsameta::reference {
namespace {

constexpr int64_t kSegmentKeys = 256;

// One length of the schedule.
struct item {
  int64_t num_segments;
  int64_t num_query_tokens;
};

std::vector<item> list_items(const metadata_inputs& in, const std::vector<request>& requests) {
  std::vector<item> items;
  const auto add = [&](int64_t length, int64_t num_query_tokens) {
    items.push_back({(length + kSegmentKeys - 1) / kSegmentKeys, num_query_tokens});
  };
  for (const request& r : requests) {
    if (!in.mqa_by_token) {
      add(r.kv, r.q);
      continue;
    }
    for (int64_t j = 0; j < r.q; ++j) add(std::max<int64_t>(visible_of(in, r, j), 0), 1);
  }
  return items;
}

// Atoms that each length is split into.
int64_t num_atoms(const metadata_inputs& in) {
  const int64_t n = in.mqa_next_n;
  if (in.mqa_variant == NSAMETA_MQA_APR26) return n % 2 == 0 ? n / 2 : n;
  if (in.mqa_variant == NSAMETA_MQA_SM90_JUN26) return n >= 2 ? (n + 1) / 2 : 1;
  return 1;
}

}  // namespace

void add_schedule(const metadata_inputs& in, const std::vector<request>& requests, metadata* out) {
  out->paged_mqa_schedule.clear();
  if (in.num_sms == 0) return;
  const bool by_query_token = in.mqa_variant == NSAMETA_MQA_SM100_JUN26;
  const int64_t atoms = num_atoms(in);
  const auto items = list_items(in, requests);
  const auto weight_of = [&](const item& i) { return i.num_segments * (by_query_token ? i.num_query_tokens : atoms); };
  // Of the first i items: work_before[i], tokens_before[i].
  std::vector<int64_t> work_before{0};
  std::vector<int64_t> tokens_before{0};
  for (const item& i : items) {
    work_before.push_back(work_before.back() + weight_of(i));
    tokens_before.push_back(tokens_before.back() + i.num_query_tokens);
  }
  const int64_t work = work_before.back();
  const int64_t share = work / in.num_sms;
  const int64_t rest = work % in.num_sms;
  for (int64_t sm = 0; sm <= in.num_sms; ++sm) {
    const bool last_get_more = in.mqa_variant == NSAMETA_MQA_SM90_JUN26;
    const int64_t extra = last_get_more ? std::max<int64_t>(0, sm - (in.num_sms - rest)) : std::min(sm, rest);
    const int64_t start = sm * share + extra;
    const auto above = std::upper_bound(work_before.begin() + 1, work_before.end(), start);
    const auto first = static_cast<size_t>(above - (work_before.begin() + 1));
    int64_t column0 = by_query_token ? tokens_before[first] : static_cast<int64_t>(first) * atoms;
    int64_t column1 = 0;
    if (first < items.size()) {
      const int64_t offset = start - work_before[first];
      if (by_query_token) {
        column1 = offset / items[first].num_query_tokens;
      } else {
        column0 += offset / items[first].num_segments;
        column1 = offset % items[first].num_segments;
      }
    }
    out->paged_mqa_schedule.push_back(cut(column0));
    out->paged_mqa_schedule.push_back(cut(column1));
  }
}

}  // namespace nsameta::reference
