// The main job: a trace through the engine model, every step's metadata through the library.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/engine.h"
#include "cli/samples.h"
#include "cli/session.h"
#include "cli/verifier.h"

namespace nsameta::cli {

enum class replay_mode { mixed, decode, verify, draft_extend };
enum class verify_level { sample, all, off };

struct replay_options {
  engine_options engine;
  replay_mode mode = replay_mode::mixed;
  verify_level verify = verify_level::sample;
  int32_t topk = 2048;
  bool use_graph = false;
  int64_t max_steps = 0;  // 0: to the end of the trace
  bool has_wide_table = true;
  int64_t copy_mb = 256;  // of the copy that bandwidths are set against, beyond any cache; 0: none
  int32_t num_sms = 0;    // of the schedule; 0: those of the device, kHostSms for the host
};

inline constexpr int32_t kHostSms = 132;  // an H100 or H200
// Page tables beyond this are not built; page_table_1 is the first to go.
inline constexpr int64_t kMaxTableBytes = int64_t{3} << 30;

inline constexpr int64_t kVerifySampleInterval = 100;  // steps
inline constexpr int64_t kBaselineInterval = 16;       // builds of a mode

struct mode_result {
  int64_t num_builds = 0;
  int64_t num_tokens = 0;
  int64_t bytes = 0;  // read and written by all builds, at least
  int64_t latency_sum_ns = 0;
  samples latency_ns;
  samples lengths_ns;  // builds of the outputs without slots and schedule, next to each baseline
  samples baseline_ns;
};

struct replay_result {
  engine_stats engine;
  std::array<mode_result, 4> modes;  // by nsameta_mode
  samples batch;                     // running requests, one value a step
  int64_t num_verified_steps = 0;
  int64_t num_verified_builds = 0;
  mismatch_list mismatches;
  int64_t num_graphs = 0;
  int32_t num_sms = 0;
  bool has_wide_table = false;
  int64_t wide_table_bytes = 0;  // what it takes, built or not
  std::optional<double> copy_gb_per_s;
  double simulated_s = 0;
  double wall_s = 0;
  bool was_interrupted = false;
};

const char* mode_name(nsameta_mode mode);

// Shows its progress on standard error; ends early at the first SIGINT.
replay_result run_replay(const trace& requests, const session& where, const replay_options& options);

}  // namespace nsameta::cli
