#include "bench/cpu_tables.h"

#include <cstdio>
#include <utility>

#include "backends/cpu/build_metadata.h"
#include "bench/cpu_timing.h"

namespace nsameta::bench {
namespace {

constexpr int64_t kPageSize = 64;
constexpr int64_t kNumSms = 132;

// Page tables of requests that each own a row of req_to_token; `width` tokens a request, with a row for each.
class table_job {
 public:
  table_job(std::vector<int32_t> seq_lens, int32_t width, bool is_wide) : seq_(std::move(seq_lens)) {
    const auto batch = static_cast<int64_t>(seq_.size());
    const int64_t max_context = (int64_t{*std::max_element(seq_.begin(), seq_.end())} + 127) / 128 * 128;
    const int64_t num_rows = batch * width;
    pool_ = allocate(batch * max_context);
    for (int64_t i = 0; i < batch * max_context; ++i) pool_.get()[i] = static_cast<int32_t>(i);
    for (int64_t r = 0; r < batch; ++r) indices_.push_back(batch - 1 - r);
    desc.seq_lens = {seq_.data(), 1, NSAMETA_INT32, 0};
    desc.req_pool_indices = {indices_.data(), 1, NSAMETA_INT64, 0};
    desc.req_to_token = {pool_.get(), batch, max_context, max_context, 1};
    desc.batch = static_cast<int32_t>(batch);
    desc.query_width = width;
    desc.topk = 2048;
    desc.kpool = 1;
    desc.page_shift = 6;
    desc.tables_by_token = width > 1 ? 1 : 0;
    desc.mqa_by_token = desc.tables_by_token;
    desc.mqa_atoms = 1;
    desc.topk_plan_threshold = -1;
    desc.num_sets = 1;
    const auto add_table = [&](nsameta_output* output, buffer* cells, int64_t columns) {
      *cells = allocate(num_rows * columns);
      std::fill_n(cells->get(), num_rows * columns, -1);
      *output = {cells->get(), num_rows, columns, columns, 1, NSAMETA_INT32, 0};
    };
    if (is_wide) add_table(&desc.sets[0].page_table_1, &slots_, max_context);
    add_table(&desc.sets[0].real_page_table, &pages_, (max_context + kPageSize - 1) / kPageSize);
    for (const int32_t kv : seq_) {
      const int64_t live = (int64_t{kv} + 127) / 128 * 128;
      num_cells += width * ((is_wide ? live : 0) + live / kPageSize);
    }
  }
  void add_schedule() {
    schedule_ = allocate(2 * (kNumSms + 1));
    desc.sets[0].paged_mqa_schedule = {schedule_.get(), kNumSms + 1, 2, 2, 1, NSAMETA_INT32, 0};
  }
  void run(const cpu::policy& policy) const {
    uint64_t fault = 0;
    cpu::build_metadata(desc, policy, &fault);
    if (fault != 0) std::abort();
  }

  nsameta_build_metadata_desc desc{};
  int64_t num_cells = 0;

 private:
  std::vector<int32_t> seq_;
  std::vector<int64_t> indices_;
  buffer pool_;
  buffer slots_;
  buffer pages_;
  buffer schedule_;
};

// Lengths that are uniform in [context / 2, context).
std::vector<int32_t> lengths(int32_t batch, int32_t context) {
  std::vector<int32_t> values;
  for (int32_t r = 0; r < batch; ++r) {
    const uint32_t scattered = static_cast<uint32_t>(r) * 2654435761U % 65536U;
    values.push_back(context / 2 + static_cast<int32_t>(int64_t{scattered} * (context / 2) >> 16));
  }
  return values;
}

// Beside a fill of as many bytes, which reads nothing, in the same seconds.
void compare(const char* name, const table_job& job) {
  const buffer target = allocate(job.num_cells);
  const auto policy = cpu::default_policy();
  const double bytes = 4.0 * static_cast<double>(job.num_cells);
  const int num_calls = std::max(1, static_cast<int>(2e6 / bytes));
  std::vector<double> fill, build, share;
  for (int i = 0; i < 24; ++i) {
    const double fill_seconds = seconds([&] {
      for (int call = 0; call < num_calls; ++call) fill_past_cache(target.get(), job.num_cells);
    });
    const double build_seconds = seconds([&] {
      for (int call = 0; call < num_calls; ++call) job.run(policy);
    });
    if (i < 3) continue;  // pages are touched for the first time
    fill.push_back(num_calls * bytes / fill_seconds / 1e9);
    build.push_back(1e6 * build_seconds / num_calls);
    share.push_back(100 * fill_seconds / build_seconds);
  }
  const summary f = summarise(fill), b = summarise(build), s = summarise(share);
  std::printf("  %-44s %8.2f MB %9.1f us (%.1f ..) %6.2f GB/s, fill %6.2f, share %5.1f %% (%.1f .. %.1f)\n", name,
              bytes / 1e6, b.median, b.min, bytes / b.median / 1e3, f.median, s.median, s.min, s.max);
}

void print(const char* name, const table_job& job) {
  const auto policy = cpu::default_policy();
  const summary ns = nanoseconds([&] { job.run(policy); });
  std::printf("  %-44s %9.2f us (%.2f .. %.2f)\n", name, ns.median / 1e3, ns.min / 1e3, ns.max / 1e3);
}

}  // namespace

void tables() {
  constexpr int32_t kKi = 1024;
  std::printf("page tables, page 64, written bytes alone count; beside a non-temporal fill of as many bytes\n");
  compare("verify 4, 64 x 128K, wide and paged", {lengths(64, 128 * kKi), 4, true});
  compare("verify 4, 64 x 128K, paged", {lengths(64, 128 * kKi), 4, false});
  compare("verify 4, 32 x 4K, wide and paged", {lengths(32, 4 * kKi), 4, true});
  compare("verify 4, 256 x 4K, wide and paged", {lengths(256, 4 * kKi), 4, true});
  compare("decode, 32 x 4K, wide and paged", {lengths(32, 4 * kKi), 1, true});
  compare("decode, 64 x 128K, wide and paged", {lengths(64, 128 * kKi), 1, true});
  std::vector<int32_t> skewed = lengths(64, kKi);
  skewed[20] = kKi * kKi;
  compare("decode, one of 1M beside 63 of 1K", {skewed, 1, true});
  std::printf("schedule of 132 SMs with the paged table, us a call\n");
  table_job small(lengths(32, 4 * kKi), 4, false);
  print("verify 4, 32 x 4K, paged alone", small);
  small.add_schedule();
  print("verify 4, 32 x 4K, paged and schedule", small);
}

}  // namespace nsameta::bench
