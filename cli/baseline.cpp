#include "cli/baseline.h"

#include <algorithm>
#include <numeric>

namespace nsameta::cli {

baseline::baseline(const session& owner, int64_t max_tokens, int32_t topk)
    : session_(owner),
      topk_(topk),
      seqlens_expanded_on_device_(owner.context(), static_cast<size_t>(max_tokens) * sizeof(int32_t)),
      nsa_cache_seqlens_on_device_(owner.context(), static_cast<size_t>(max_tokens) * sizeof(int32_t)) {
  seqlens_expanded_.reserve(static_cast<size_t>(max_tokens));
  nsa_cache_seqlens_.reserve(static_cast<size_t>(max_tokens));
}

void baseline::run(const builder& source, const batch& lengths) {
  const size_t num_requests = lengths.seq_lens.size();
  const auto to_list = [&](const int32_t* lengths_on_device) {
    std::vector<int32_t> list(num_requests);
    session_.copy_to_host(list.data(), lengths_on_device, num_requests * sizeof(int32_t));
    return list;
  };
  const auto seq_lens = to_list(source.seq_lens());
  std::vector<int32_t> extend_seq_lens;
  if (lengths.tokens_per_request == 0) {
    extend_seq_lens = to_list(source.extend_seq_lens());
  } else {
    extend_seq_lens.assign(num_requests, lengths.tokens_per_request);
  }
  const int32_t offset = lengths.mode == NSAMETA_MODE_TARGET_VERIFY ? lengths.tokens_per_request : 0;

  std::vector<std::vector<int32_t>> parts;
  for (size_t r = 0; r < num_requests; ++r) {
    auto& part = parts.emplace_back(static_cast<size_t>(extend_seq_lens[r]));
    std::iota(part.begin(), part.end(), seq_lens[r] + offset - extend_seq_lens[r] + 1);
  }
  seqlens_expanded_.clear();
  for (const auto& part : parts) seqlens_expanded_.insert(seqlens_expanded_.end(), part.begin(), part.end());
  nsa_cache_seqlens_.clear();
  for (const int32_t visible : seqlens_expanded_) nsa_cache_seqlens_.push_back(std::min(visible, topk_));

  const size_t bytes = seqlens_expanded_.size() * sizeof(int32_t);
  session_.copy_to_device(seqlens_expanded_on_device_.data(), seqlens_expanded_.data(), bytes);
  session_.copy_to_device(nsa_cache_seqlens_on_device_.data(), nsa_cache_seqlens_.data(), bytes);
}

}  // namespace nsameta::cli
