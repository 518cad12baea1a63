// Two passes over the requests in the calling thread: a batch is thousands of requests at most.
#include <algorithm>
#include <atomic>

#include "backends/cpu/state.h"
#include "core/backend.h"
#include "core/fault.h"
#include "core/mla_formula.h"

namespace nsameta::cpu {
namespace {

using desc_t = nsameta_mla_schedule_desc;

int32_t read_length(const nsameta_lengths& lengths, int64_t request) {
  if (lengths.dtype == NSAMETA_INT64) {
    return static_cast<int32_t>(static_cast<const int64_t*>(lengths.data)[request * lengths.stride]);
  }
  return static_cast<const int32_t*>(lengths.data)[request * lengths.stride];
}

class scheduler {
 public:
  explicit scheduler(const desc_t& desc) : desc_(desc) {
    int64_t total = 0;
    for (int32_t r = 0; r < desc.batch; ++r) {
      total += int64_t{blocks_of(r)} + desc.fixed_overhead;
      if (desc.seq_lens.data == nullptr || fault_ != 0) continue;
      const int32_t length = read_length(desc.seq_lens, r);
      if (length < 0) fault_ = fault_word(NSAMETA_CHECK_NEGATIVE_KV, r, length);
    }
    budget_ = mla::budget(total, desc.num_parts, desc.fixed_overhead);
  }

  void run() {
    desc_.num_splits[0] = 0;
    for (int32_t part = 0; part < desc_.num_parts; ++part) {
      mla::store(next_row(), desc_.layout, desc_.parts + int64_t{part} * 8);
    }
  }

  uint64_t fault() const { return fault_; }

 private:
  int32_t keys_of(int32_t request) const {
    if (desc_.seq_lens.data == nullptr) return desc_.constant_keys;
    return mla::keys_of(read_length(desc_.seq_lens, request), desc_.min_keys);
  }
  int32_t blocks_of(int32_t request) const { return mla::blocks_of(keys_of(request), desc_.block_size, desc_.layout); }
  int32_t end_of_previous() const {
    return request_ == 0 ? 0 : mla::end_of(keys_of(request_ - 1), desc_.block_size, desc_.layout);
  }

  mla::part_row next_row() {
    if (request_ == desc_.batch) return mla::idle_row(desc_.batch, end_of_previous());
    mla::part_row row{request_, mla::place_of(block_, desc_.block_size, desc_.layout), 0, 0, split_, block_ > 0, false};
    int64_t left = budget_;
    for (; request_ < desc_.batch; ++request_) {
      const int64_t rest = int64_t{blocks_of(request_)} - block_;
      if (left < rest + desc_.fixed_overhead) break;
      left -= rest + desc_.fixed_overhead;
      num_splits_ += split_ + 1;
      desc_.num_splits[request_ + 1] = num_splits_;
      block_ = split_ = 0;
    }
    if (request_ < desc_.batch && left > desc_.fixed_overhead) {
      block_ += static_cast<int32_t>(left - desc_.fixed_overhead);
      ++split_;
    }
    row.ends_inside = block_ > 0;
    row.last = block_ > 0 ? request_ : request_ - 1;
    row.end = block_ > 0 ? mla::place_of(block_, desc_.block_size, desc_.layout) : end_of_previous();
    return row;
  }

  const desc_t& desc_;
  int64_t budget_ = 0;
  uint64_t fault_ = 0;
  // The first request that is not worked off, its first block that is not, and the parts that worked on it and before.
  int32_t request_ = 0;
  int32_t block_ = 0;
  int32_t split_ = 0;
  int32_t num_splits_ = 0;
};

}  // namespace

nsameta_status mla_schedule(void* state, const desc_t* desc, void*) {
  scheduler schedule(*desc);
  schedule.run();
  uint64_t none = 0;
  auto& word = static_cast<context_state*>(state)->fault_word;
  if (schedule.fault() != 0) std::atomic_ref<uint64_t>(word).compare_exchange_strong(none, schedule.fault());
  return NSAMETA_OK;
}

}  // namespace nsameta::cpu
