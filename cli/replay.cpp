#include "cli/replay.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>

#include "cli/baseline.h"
#include "cli/builder.h"
#include "cli/progress.h"
#include "cli/slot_table.h"
#include "cli/traffic.h"

namespace nsameta::cli {
namespace {

using clock = std::chrono::steady_clock;

constexpr int32_t kMaxTablePage = 256;          // of real_page_table
constexpr int64_t kMaxKeys = int64_t{1} << 26;  // of page_table_1_flattened

volatile std::sig_atomic_t interrupted = 0;

// Catches the first SIGINT only: a second one ends the program at once.
class interrupt_guard {
 public:
  interrupt_guard() {
    interrupted = 0;
    struct sigaction action = {};
    action.sa_handler = [](int) { interrupted = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, &previous_);
  }
  ~interrupt_guard() { sigaction(SIGINT, &previous_, nullptr); }
  interrupt_guard(const interrupt_guard&) = delete;
  interrupt_guard& operator=(const interrupt_guard&) = delete;

 private:
  struct sigaction previous_ = {};
};

bool is_built(replay_mode wanted, nsameta_mode mode) {
  switch (wanted) {
    case replay_mode::verify: return mode == NSAMETA_MODE_TARGET_VERIFY;
    case replay_mode::draft_extend: return mode == NSAMETA_MODE_DRAFT_EXTEND;
    case replay_mode::decode: return mode == NSAMETA_MODE_DECODE || mode == NSAMETA_MODE_EXTEND;
    case replay_mode::mixed: return mode != NSAMETA_MODE_DECODE;
  }
  return false;
}

builder_options options_of(nsameta_mode mode, const replay_options& options, slot_table* slots, int32_t num_sms) {
  const auto& engine = options.engine;
  builder_options result{mode, engine.max_batch, engine.chunk, 0, options.topk, options.use_graph};
  const bool is_prefill = mode == NSAMETA_MODE_EXTEND;
  if (mode == NSAMETA_MODE_DECODE) result.tokens_per_request = 1;
  if (mode == NSAMETA_MODE_TARGET_VERIFY) result.tokens_per_request = engine.next_n;
  if (!is_prefill) result.max_tokens = int64_t{engine.max_batch} * (mode == NSAMETA_MODE_DECODE ? 1 : engine.next_n);
  result.slots = slots;
  result.page_size = std::min(engine.page_size, kMaxTablePage);
  result.max_keys = is_prefill ? std::min(engine.max_batch * slots->max_context(), kMaxKeys) : 0;
  result.num_sms = is_prefill ? 0 : num_sms;
  result.plan_rows = is_prefill ? 0 : build_metadata::kMaxPlanTokens + 1;
  return result;
}

int32_t multiprocessors(const session& where) {
  if (where.is_host()) return kHostSms;
  for (const auto& backend : backends()) {
    for (const auto& found : backend.devices) {
      const bool is_it = found.device.type == where.device().type && found.device.id == where.device().id;
      if (is_it) return std::clamp(found.num_multiprocessors, 1, NSAMETA_MAX_SMS);
    }
  }
  return kHostSms;
}

template <typename Work>
int64_t time_ns(Work&& work) {
  const auto start = clock::now();
  work();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(clock::now() - start).count();
}

// Builds, times and checks what the engine hands over.
class replay_sink final : public step_sink {
 public:
  replay_sink(const session& where, req_to_token* table, const replay_options& options, replay_result* result)
      : options_(options), result_(*result), slots_(where, table) {
    result->num_sms = options.num_sms > 0 ? options.num_sms : multiprocessors(where);
    std::vector<builder_options> wanted;
    for (size_t i = 0; i < lanes_.size(); ++i) {
      const auto mode = static_cast<nsameta_mode>(i);
      if (is_built(options.mode, mode)) wanted.push_back(options_of(mode, options, &slots_, result->num_sms));
    }
    for (const auto& built : wanted) result->wide_table_bytes += wide_table_bytes(built);
    result->has_wide_table = options.has_wide_table && result->wide_table_bytes <= kMaxTableBytes;
    int64_t max_tokens = 1;
    for (auto& lane_options : wanted) {
      lane_options.has_wide_table = result->has_wide_table;
      lanes_[lane_options.mode] = std::make_unique<lane>(where, lane_options);
      max_tokens = std::max(max_tokens, lane_options.max_tokens);
    }
    baseline_ = std::make_unique<baseline>(where, max_tokens, options.topk);
  }

  void begin_step(int64_t step) {
    step_ = step;
    is_verified_ = options_.verify == verify_level::all ||
                   (options_.verify == verify_level::sample && step % kVerifySampleInterval == 0);
  }

  bool is_verified() const { return is_verified_; }

  void build(const batch& lengths) override {
    auto& used = lanes_[static_cast<size_t>(lengths.mode)];
    if (used == nullptr) return;
    auto& mode = result_.modes[static_cast<size_t>(lengths.mode)];
    used->build.load(lengths);
    if (options_.use_graph) used->build.capture(lengths);
    if (is_verified_) used->verify.prepare(lengths);
    const int64_t latency_ns = time_ns([&] { used->build.run(lengths); });
    mode.latency_ns.add(latency_ns);
    mode.latency_sum_ns += latency_ns;
    mode.bytes += bytes_moved(used->build, lengths);
    if (is_verified_) {
      used->verify.check(step_, &result_.mismatches);
      ++result_.num_verified_builds;
    } else {
      used->verify.skip();
    }
    if (mode.num_builds++ % kBaselineInterval == 0) {
      mode.lengths_ns.add(time_ns([&] { used->build.run_lengths(lengths); }));
      mode.baseline_ns.add(time_ns([&] { baseline_->run(used->build, lengths); }));
    }
    mode.num_tokens += lengths.num_tokens;
  }

  int64_t num_graphs() const {
    int64_t sum = 0;
    for (const auto& used : lanes_) sum += used != nullptr ? used->build.num_graphs() : 0;
    return sum;
  }

 private:
  struct lane {
    lane(const session& where, const builder_options& options) : build(where, options), verify(where, build) {}
    builder build;
    verifier verify;
  };

  const replay_options& options_;
  replay_result& result_;
  slot_table slots_;
  std::array<std::unique_ptr<lane>, 4> lanes_;  // by nsameta_mode; null: not built
  std::unique_ptr<baseline> baseline_;
  int64_t step_ = 0;
  bool is_verified_ = false;
};

}  // namespace

const char* mode_name(nsameta_mode mode) {
  switch (mode) {
    case NSAMETA_MODE_DECODE: return "decode";
    case NSAMETA_MODE_TARGET_VERIFY: return "verify";
    case NSAMETA_MODE_DRAFT_EXTEND: return "draft_extend";
    case NSAMETA_MODE_EXTEND: return "extend";
  }
  return "?";
}

replay_result run_replay(const trace& requests, const session& where, const replay_options& options) {
  replay_result result;
  result.copy_gb_per_s = measure_copy(where, static_cast<size_t>(options.copy_mb) << 20);
  engine model(requests, options.engine);
  replay_sink sink(where, &model.table(), options, &result);
  progress shown;
  const interrupt_guard guard;
  const auto start = clock::now();
  const auto num_requests = static_cast<double>(requests.requests.size());
  for (int64_t step = 0; options.max_steps == 0 || step < options.max_steps; ++step) {
    if (interrupted != 0) {
      result.was_interrupted = true;
      break;
    }
    sink.begin_step(step);
    if (!model.step(sink)) break;
    result.num_verified_steps += sink.is_verified();
    const auto& stats = model.stats();
    result.batch.add(stats.last_batch);
    double done = static_cast<double>(stats.num_served + stats.num_rejected) / num_requests;
    if (options.max_steps > 0)
      done = std::max(done, static_cast<double>(step) / static_cast<double>(options.max_steps));
    shown.update(done, stats.num_steps, model.now_us());
  }
  result.wall_s = std::chrono::duration<double>(clock::now() - start).count();
  result.engine = model.stats();
  result.simulated_s = static_cast<double>(model.now_us()) / 1e6;
  result.num_graphs = sink.num_graphs();
  model.shut_down();
  const auto fault = where.context().fault();
  if (fault.check != NSAMETA_CHECK_NONE) {
    result.mismatches.add({-1, NSAMETA_MODE_DECODE, "fault word", fault.request_idx, NSAMETA_CHECK_NONE, fault.check});
  }
  return result;
}

}  // namespace nsameta::cli
