// The main job: a trace through the engine model, every step's metadata through the library.
#pragma once

#include <array>
#include <cstdint>
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
};

inline constexpr int64_t kVerifySampleInterval = 100;  // steps
inline constexpr int64_t kBaselineInterval = 16;       // builds of a mode

struct mode_result {
  int64_t num_builds = 0;
  int64_t num_tokens = 0;
  samples latency_ns;
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
  double simulated_s = 0;
  double wall_s = 0;
  bool was_interrupted = false;
};

const char* mode_name(nsameta_mode mode);

// Shows its progress on standard error; ends early at the first SIGINT.
replay_result run_replay(const trace& requests, const session& where, const replay_options& options);

}  // namespace nsameta::cli
