// What engines did before: the lengths travel to the host, every request gets an array of its own, the arrays are put
// together, clamped in a second pass, and travel back. Timed beside the library in the same run.
#pragma once

#include <cstdint>
#include <vector>

#include "cli/builder.h"
#include "cli/session.h"

namespace nsameta::cli {

class baseline {
 public:
  // The session outlives the baseline.
  baseline(const session& owner, int64_t max_tokens, int32_t topk);

  // seqlens_expanded and nsa_cache_seqlens, the two outputs of the original, from the lengths that `source` holds.
  void run(const builder& source, const batch& lengths);

  // The two outputs of the last run, as they were copied to the device.
  const std::vector<int32_t>& seqlens_expanded() const { return seqlens_expanded_; }
  const std::vector<int32_t>& nsa_cache_seqlens() const { return nsa_cache_seqlens_; }

 private:
  const session& session_;
  int32_t topk_;
  device_buffer seqlens_expanded_on_device_;
  device_buffer nsa_cache_seqlens_on_device_;
  std::vector<int32_t> seqlens_expanded_;
  std::vector<int32_t> nsa_cache_seqlens_;
};

}  // namespace nsameta::cli
