// One type per operation, made from core/ops.def, and the functions that each operation brings: check() from
// core/ops/<op>.cpp, the others from dispatch/ops/<op>.cpp.
#pragma once

#include <memory>

#include "core/backend.h"

namespace nsameta::dispatch {

// What a run of a plan may say about itself; -1: as bound.
struct run_bounds {
  int32_t batch;
  int64_t num_tokens;
  int64_t max_kv;

  bool operator==(const run_bounds&) const = default;
};

// Runs one operation on the host for tensors of a device, through host copies that are allocated when it is made.
template <class Desc>
class staged_run {
 public:
  virtual ~staged_run() = default;
  // desc: the one that it was made for, or one narrowed from that.
  [[nodiscard]] virtual nsameta_status run(const nsameta_context& context, const Desc& desc, void* stream) = 0;
};

#define NSAMETA_OP(name)                                                                                            \
  /* The descriptor of one run of a plan that was bound as `bound`; `desc` is a copy of it or an earlier result. */ \
  [[nodiscard]] nsameta_status narrow(const nsameta_##name##_desc& bound, const run_bounds& bounds,                 \
                                      nsameta_##name##_desc* desc);                                                 \
  std::unique_ptr<staged_run<nsameta_##name##_desc>> make_staged(const nsameta_##name##_desc& desc);
#include "core/ops.def"
#undef NSAMETA_OP

}  // namespace nsameta::dispatch

#define NSAMETA_OP(name)                                                                                       \
  namespace nsameta::name {                                                                                    \
  nsameta_##name##_args default_args();                                                                        \
  nsameta_status check(const nsameta_##name##_args* args, nsameta_device device, nsameta_##name##_desc* desc); \
  }                                                                                                            \
  namespace nsameta::dispatch {                                                                                \
  struct name##_op {                                                                                           \
    using args = nsameta_##name##_args;                                                                        \
    using desc = nsameta_##name##_desc;                                                                        \
    using slot = nsameta_status (*)(void* state, const desc* desc, void* stream);                              \
    static constexpr const char* kName = #name;                                                                \
    static constexpr slot nsameta_backend::* kSlot = &nsameta_backend::name;                                   \
    static constexpr auto kExplainSlot = &nsameta_backend::explain_##name;                                     \
    static constexpr auto kPrepareSlot = &nsameta_backend::prepare_##name;                                     \
    [[nodiscard]] static nsameta_status check(const void* caller, nsameta_device device, desc* checked) {      \
      return nsameta::name::check(static_cast<const args*>(caller), device, checked);                          \
    }                                                                                                          \
  };                                                                                                           \
  }
#include "core/ops.def"
#undef NSAMETA_OP
