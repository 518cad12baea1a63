#include "backends/cpu/mqa_schedule.h"

#include <tbb/parallel_for.h>

#include <algorithm>

namespace nsameta::cpu {
namespace {

// A point among the segments, and what a row says of it.
struct place {
  int64_t first;
  int64_t second;
};

// How work is dealt out to multiprocessors: those that get one more than the others come first, or last.
struct share {
  int64_t num_sms;
  int64_t each;
  int64_t rest;
  bool last_get_more;

  share(int64_t work, int64_t num, int32_t variant)
      : num_sms(num), each(work / num), rest(work % num), last_get_more(variant == NSAMETA_MQA_SM90_JUN26) {}

  int64_t start(int64_t sm) const {
    return sm * each + (last_get_more ? std::max<int64_t>(0, sm - (num_sms - rest)) : std::min(sm, rest));
  }
  // The first that starts at `work` or later, num_sms + 1 if none does.
  int64_t first_from(int64_t work) const {
    int64_t low = 0;
    for (int64_t high = num_sms + 1; low < high;) {
      const int64_t middle = (low + high) / 2;
      if (start(middle) < work) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
};

class schedule_writer {
 public:
  schedule_writer(const request_source& source, const nsameta_output& output, const running_sums& total)
      : source_(source),
        atoms_(source.desc.mqa_atoms),
        rows_(static_cast<int32_t*>(output.data)),
        share_(total.mqa_work * atoms_, output.capacity - 1, source.desc.mqa_variant) {}

  // Whether a row begins between two points.
  bool has_rows(const running_sums& begin, const running_sums& end) const {
    return share_.start(share_.first_from(begin.mqa_work * atoms_)) < end.mqa_work * atoms_;
  }

  // The rows that begin in the block.
  void write(const request_block& block, int64_t mqa_work_before) const {
    int64_t before = mqa_work_before * atoms_;
    int64_t token = block.first_token;
    int64_t sm = share_.first_from(before);
    int64_t start = share_.start(sm);
    for (int i = 0; i < block.size && sm <= share_.num_sms; ++i) {
      const int64_t end = before + source_.mqa_work_of(block.kv[i], block.q[i]) * atoms_;
      for (; sm <= share_.num_sms && start < end; start = share_.start(++sm)) {
        write_row(sm, find(block.first_request + i, token, block.kv[i], block.q[i], start - before));
      }
      before = end;
      token += block.q[i];
    }
  }

  // The rows that begin behind all work: the last one, and without work all.
  void write_end(const running_sums& total) const {
    const bool counts_tokens = source_.desc.mqa_by_token != 0 || source_.desc.mqa_variant == NSAMETA_MQA_SM100_JUN26;
    const int64_t end = counts_tokens ? total.tokens : source_.batch * atoms_;
    for (int64_t sm = share_.first_from(total.mqa_work * atoms_); sm <= share_.num_sms; ++sm) write_row(sm, {end, 0});
  }

 private:
  void write_row(int64_t sm, const place& place) const {
    rows_[2 * sm] = static_cast<int32_t>(place.first);
    rows_[2 * sm + 1] = static_cast<int32_t>(place.second);
  }

  // The place `offset` into the work of a request. Lengths of tokens have no atoms.
  place find(int64_t request, int64_t first_token, int32_t kv, int32_t q, int64_t offset) const {
    if (source_.desc.mqa_by_token == 0) {
      if (source_.desc.mqa_variant == NSAMETA_MQA_SM100_JUN26) return {first_token, offset / q};
      const int64_t segments = formula::segments(kv);
      return {request * atoms_ + offset / segments, offset % segments};
    }
    const int64_t none = formula::segment_sum(kv - q);
    int32_t j = 0;  // tokens with all their work before the offset
    for (int32_t end = q - 1; j < end;) {
      const int32_t middle = j + (end - j) / 2;
      if (formula::segment_sum(kv - q + 1 + middle) - none > offset) {
        end = middle;
      } else {
        j = middle + 1;
      }
    }
    return {first_token + j, offset - (formula::segment_sum(kv - q + j) - none)};
  }

  const request_source& source_;
  int64_t atoms_;
  int32_t* rows_;
  share share_;
};

template <typename Visit>
void for_each_schedule(const request_source& source, const running_sums& total, Visit visit) {
  for (int i = 0; i < source.desc.num_sets; ++i) {
    const nsameta_output& output = source.desc.sets[i].paged_mqa_schedule;
    if (output.data == nullptr) continue;
    const schedule_writer writer(source, output, total);
    visit(writer);
    writer.write_end(total);
  }
}

}  // namespace

void write_mqa_schedules(const request_source& source, const request_block& block) {
  for_each_schedule(source, block.after, [&](const schedule_writer& writer) { writer.write(block, 0); });
}

void write_mqa_schedules(const request_source& source, const balance& balance) {
  for_each_schedule(source, balance.total(), [&](const schedule_writer& writer) {
    tbb::parallel_for(0, balance.num_chunks(), [&](int chunk) {
      running_sums before = balance.sums_before(chunk);
      if (!writer.has_rows(before, balance.sums_before(chunk + 1))) return;
      for_each_block(source, balance.chunk_begin(chunk), balance.chunk_begin(chunk + 1), before,
                     [&](const request_block& block, uint64_t) {
                       if (writer.has_rows(before, block.after)) writer.write(block, before.mqa_work);
                       before = block.after;
                     });
    });
  });
}

}  // namespace nsameta::cpu
