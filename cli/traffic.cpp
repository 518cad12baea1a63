#include "cli/traffic.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "cli/rounding.h"

namespace nsameta::cli {
namespace {

using build_metadata::output_kind;
using clock = std::chrono::steady_clock;

constexpr int kCopies = 3;  // the first one warms up
constexpr unsigned kMaxCopyThreads = 16;

// Cells of the outputs in the block.
int64_t block_cells(const builder& source, int64_t batch, int64_t num_tokens) {
  int64_t cells = 0;
  auto place = source.layout().places.begin();
  const auto add = [&](output_kind kind) {
    const int64_t capacity = place++->capacity;
    if (capacity == 0) return;
    switch (kind) {
      case output_kind::TOKEN: cells += num_tokens; break;
      case output_kind::TOKEN_CU: cells += num_tokens + 1; break;
      case output_kind::REQUEST: cells += batch; break;
      case output_kind::REQUEST_CU: cells += batch + 1; break;
      case output_kind::REQUEST_ROW: cells += batch * source.limits().ctx_lens_columns; break;
      case output_kind::SCALAR: ++cells; break;
      case output_kind::SCHEDULE: cells += capacity; break;
      default: break;  // a plan is a few cells
    }
  };
#define NSAMETA_OUTPUT(name, kind) add(output_kind::kind);
#include "core/outputs.def"
#undef NSAMETA_OUTPUT
  return cells;
}

double seconds(clock::duration time) { return std::chrono::duration<double>(time).count(); }

// The fastest of some runs.
template <typename Copy>
double best_gb_per_s(size_t bytes, Copy&& copy) {
  double best = 0;
  for (int i = 0; i < kCopies; ++i) {
    const auto start = clock::now();
    copy();
    best = std::max(best, 2e-9 * static_cast<double>(bytes) / seconds(clock::now() - start));
  }
  return best;
}

// All processors copy, as the library's backend does.
double measure_host_copy(size_t bytes) {
  const std::vector<char> source(bytes, 1);
  const auto destination = std::make_unique_for_overwrite<char[]>(bytes);
  const size_t num_threads = std::clamp(std::thread::hardware_concurrency(), 1U, kMaxCopyThreads);
  const size_t part = bytes / num_threads;
  return best_gb_per_s(bytes, [&] {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < num_threads; ++i) {
      threads.emplace_back([&, i] { std::memcpy(destination.get() + i * part, source.data() + i * part, part); });
    }
  });
}

std::optional<double> measure_device_copy(const session& where, size_t bytes) {
  const device_buffer source(where.context(), bytes);
  const device_buffer destination(where.context(), bytes);
  const size_t num_cells = bytes / sizeof(int32_t);
  const nsameta_copy_pair pair = {make_tensor(source.as<int32_t>(), num_cells, where.device()),
                                  make_tensor(destination.as<int32_t>(), num_cells, where.device())};
  nsameta_copy_metadata_args args;
  nsameta_copy_metadata_args_init(&args);
  args.num_pairs = 1;
  args.pairs = &pair;
  bool has_failed = false;
  const double rate = best_gb_per_s(bytes, [&] {
    has_failed |= nsameta_copy_metadata(where.context().get(), &args, where.stream().get()) != NSAMETA_OK;
    where.stream().synchronize();
  });
  return has_failed ? std::nullopt : std::optional(rate);
}

}  // namespace

int64_t bytes_moved(const builder& source, const batch& lengths) {
  const auto& options = source.options();
  const auto batch = static_cast<int64_t>(lengths.seq_lens.size());
  const int64_t offset = options.mode == NSAMETA_MODE_TARGET_VERIFY ? options.tokens_per_request : 0;
  const bool has_wide = source.page_table_1().is_built();
  const bool has_pages = source.real_page_table().is_built();
  const bool has_flattened = source.page_table_1_flattened().is_built();
  int64_t cells = batch * (1 + !lengths.extend_seq_lens.empty() + !lengths.pool_rows.empty());
  cells += block_cells(source, batch, lengths.num_tokens);
  for (size_t r = 0; r < lengths.seq_lens.size() && options.slots != nullptr; ++r) {
    const int64_t kv = lengths.seq_lens[r] + offset;
    const int64_t q = lengths.extend_seq_lens.empty() ? options.tokens_per_request : lengths.extend_seq_lens[r];
    const int64_t live = std::min(round_up(kv, 128), options.slots->max_context());
    const int64_t pages = has_pages ? round_up(live, options.page_size) / options.page_size : 0;
    const int64_t num_rows = source.rows_are_tokens() ? q : 1;
    cells += has_wide ? live : has_flattened ? kv : pages + q;  // read
    cells += num_rows * (has_wide ? live : 0) + num_rows * pages + (has_flattened ? kv : 0);
  }
  return cells * static_cast<int64_t>(sizeof(int32_t));
}

std::optional<double> measure_copy(const session& where, size_t bytes) {
  if (where.is_staged() || bytes == 0) return {};
  return where.is_host() ? measure_host_copy(bytes) : measure_device_copy(where, bytes);
}

}  // namespace nsameta::cli
