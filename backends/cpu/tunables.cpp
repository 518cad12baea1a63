#include "backends/cpu/tunables.h"

#include <type_traits>

namespace nsameta::cpu {
namespace {

struct tunable_description {
  const char* name;
  int64_t least;
  int64_t most;
  const char* decides;
  const char* measured;
};

constexpr tunable_description kTunables[] = {
#define NSAMETA_TUNABLE(field, least, most, decides, measured) {#field, least, most, decides, measured},
#include "backends/cpu/tunables.def"
#undef NSAMETA_TUNABLE
};

// Calls visit(field) for the field of that number.
template <class Policy, class Visit>
void with_field(Policy* policy, int32_t tunable_idx, Visit visit) {
  int32_t i = 0;
#define NSAMETA_TUNABLE(field, least, most, decides, measured) \
  if (i++ == tunable_idx) visit(policy->field);
#include "backends/cpu/tunables.def"
#undef NSAMETA_TUNABLE
}

int64_t value_of(const policy& policy, int32_t tunable_idx) {
  int64_t value = 0;
  with_field(&policy, tunable_idx, [&](const auto& field) { value = field; });
  return value;
}

constexpr size_t kListedBytes = 0
#define NSAMETA_TUNABLE(field, least, most, decides, measured) +sizeof(policy::field)
#include "backends/cpu/tunables.def"
#undef NSAMETA_TUNABLE
    ;
static_assert(sizeof(policy) - kListedBytes < alignof(policy), "a field of the policy is missing in tunables.def");

}  // namespace

int32_t num_tunables() { return static_cast<int32_t>(sizeof(kTunables) / sizeof(kTunables[0])); }

void get_tunable(const policy& policy, int32_t tunable_idx, nsameta_tunable* tunable) {
  static const cpu::policy usual = default_policy();
  const tunable_description& of_list = kTunables[tunable_idx];
  *tunable = {of_list.name,
              of_list.decides,
              of_list.measured,
              value_of(policy, tunable_idx),
              value_of(usual, tunable_idx),
              of_list.least,
              of_list.most,
              -1,
              0};
}

void set_tunable(policy* policy, int32_t tunable_idx, int64_t value) {
  with_field(policy, tunable_idx,
             [&](auto& field) { field = static_cast<std::remove_reference_t<decltype(field)>>(value); });
}

}  // namespace nsameta::cpu
