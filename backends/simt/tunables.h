// The values of tunables.def that a context has.
#pragma once

#include <cstdint>

#include "nsameta/nsameta.h"

namespace nsameta::simt {

enum class tunable : std::uint8_t {
#define NSAMETA_TUNABLE(op, name, value, least, most, decides, measured) name,
#include "backends/simt/tunables.def"
#undef NSAMETA_TUNABLE
};

struct tunable_description {
  const char* name;
  std::int32_t default_value;
  std::int32_t least;
  std::int32_t most;
  const char* decides;
  const char* measured;
  nsameta_op op;
};

inline constexpr tunable_description kTunables[] = {
#define NSAMETA_TUNABLE(op, name, value, least, most, decides, measured) \
  {#name, value, least, most, decides, measured, NSAMETA_OP_##op},
#include "backends/simt/tunables.def"
#undef NSAMETA_TUNABLE
};

inline constexpr std::int32_t kNumTunables = sizeof(kTunables) / sizeof(kTunables[0]);

constexpr const tunable_description& describe(tunable t) { return kTunables[static_cast<int>(t)]; }

struct tunable_values {
  std::int32_t values[kNumTunables];

  constexpr std::int32_t operator[](tunable t) const { return values[static_cast<int>(t)]; }
};

constexpr tunable_values default_tunables() {
  tunable_values all{};
  for (int i = 0; i < kNumTunables; ++i) all.values[i] = kTunables[i].default_value;
  return all;
}

}  // namespace nsameta::simt
