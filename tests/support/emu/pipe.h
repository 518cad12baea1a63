// The copy engine of the trait of the emulator; see backends/cuda/pipe.h.
#pragma once

#include <cstdint>

#include "tests/support/emu/grid.h"

namespace nsameta::emu {

// Everything happens as late as the calls allow, and a stage that is filled again is garbage until then.
struct pipe {
  static constexpr int kStages = 3;
  static constexpr int kBytes = 2048;
  static constexpr int kMaxStores = 256;
  struct load_call {
    const std::int32_t* from;
    std::int32_t bytes;
    std::uint32_t count;
  };
  struct store_call {
    std::int32_t* to;
    std::int32_t bytes;
    std::int32_t stage;
    std::int32_t group;
  };
  struct smem {
    alignas(16) std::int32_t data[kStages][kBytes / 4];
    load_call loads[kStages];
    store_call stores[kMaxStores];
    std::int32_t num_stores;
    std::int32_t num_groups;
  };

  static void init(smem& s) {
    for (auto& load : s.loads) load = {nullptr, 0, 0};
    s.num_stores = s.num_groups = 0;
  }
  static void load(smem& s, int stage, const std::int32_t* from, std::int32_t bytes) {
    for (auto& cell : s.data[stage]) cell = INT32_MIN + 77;
    s.loads[stage] = {from, bytes, s.loads[stage].count + 1};
  }
  static void wait_loaded(smem& s, int stage, unsigned parity) {
    const load_call& call = s.loads[stage];
    if (call.count == 0 || ((call.count - 1) & 1U) != parity) fail_running("waits for a load that nobody asked for");
    for (int i = 0; i < call.bytes / 4; ++i) s.data[stage][i] = call.from[i];
  }
  static void store(smem& s, int stage, std::int32_t* to, std::int32_t bytes) {
    if (s.num_stores == kMaxStores) fail_running("has too many stores under way");
    s.stores[s.num_stores++] = {to, bytes, stage, s.num_groups};
  }
  static void commit(smem& s) { ++s.num_groups; }
  template <int kNumGroups>
  static void wait_read(smem& s) {
    int num_left = 0;
    for (int i = 0; i < s.num_stores; ++i) {
      const store_call call = s.stores[i];
      if (call.group >= s.num_groups - kNumGroups) {
        s.stores[num_left++] = call;
        continue;
      }
      for (int k = 0; k < call.bytes / 4; ++k) call.to[k] = s.data[call.stage][k];
    }
    s.num_stores = num_left;
  }
  static void wait_all(smem& s) { wait_read<0>(s); }
};

}  // namespace nsameta::emu
