// A backend that counts how often a launch is chosen, and launches nothing.
#pragma once

#include <gtest/gtest.h>

#include <array>

#include "dispatch/plan.h"
#include "nsameta/nsameta.hpp"

namespace nsameta::dispatch {

struct choice {
  int32_t batch;
  int64_t num_tokens_bound;
  int64_t max_kv_bound;
};

struct choice_log {
  int num_choices = 0;
  int num_launches = 0;
  int num_releases = 0;
  int num_operations = 0;  // calls that no launch was chosen for
  choice last_launch{};
  bool refuses_choices = false;
};

inline choice_log the_log;

inline nsameta_status choose(const void*, const nsameta_build_metadata_desc* desc, void** prepared) {
  if (the_log.refuses_choices) return NSAMETA_DEVICE_ERROR;
  ++the_log.num_choices;
  if (*prepared == nullptr) *prepared = new choice;
  *static_cast<choice*>(*prepared) = {desc->batch, desc->num_tokens_bound, desc->max_kv_bound};
  return NSAMETA_OK;
}

inline nsameta_status launch(void*, const void* prepared, void*) {
  ++the_log.num_launches;
  the_log.last_launch = *static_cast<const choice*>(prepared);
  return NSAMETA_OK;
}

inline void release(void*, void* prepared) {
  ++the_log.num_releases;
  delete static_cast<choice*>(prepared);
}

inline nsameta_status call_operation(void*, const nsameta_build_metadata_desc*, void*) {
  ++the_log.num_operations;
  return NSAMETA_OK;
}

class choosing_backend : public ::testing::Test {
 protected:
  choosing_backend() {
    the_log = {};
    table_.name = "choosing";
    table_.last_error_message = [] { return ""; };
    table_.destroy = [](void*) {};
    table_.build_metadata = call_operation;
    table_.prepare_build_metadata = choose;
    table_.launch_prepared = launch;
    table_.release_prepared = release;
    table_.num_tunables = [] { return int32_t{1}; };
    table_.get_tunable = [](const void*, int32_t, nsameta_tunable* tunable) {
      *tunable = {"width", "", "", 1, 1, 1, 9, NSAMETA_OP_BUILD_METADATA, 0};
    };
    table_.set_tunable = [](void*, int32_t, int64_t) {};
    context_.device = kCpuDevice;
    context_.backend = context_.owner = &table_;
    context_.state = &table_;
    args_.mode = NSAMETA_MODE_DECODE;
    args_.topk = 2048;
    args_.seq_lens = make_tensor(seq_lens_.data(), seq_lens_.size());
    args_.out.cache_seqlens = make_tensor(lengths_.data(), lengths_.size());
  }

  nsameta_backend table_{};
  nsameta_context context_;
  build_metadata_args args_;
  std::array<int32_t, 8> seq_lens_{};
  std::array<int32_t, 8> lengths_{};
};

}  // namespace nsameta::dispatch
